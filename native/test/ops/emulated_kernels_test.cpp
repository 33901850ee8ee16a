// The CUDA kernels, compiled for the CPU (emulator/), against the CPU backend on the same numbers, in fp32 on both
// sides.
#include <doctest/doctest.h>

#include "base/fp8.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/attention.h"
#include "ops/cuda/kernels.h"
#include "quant/dynamic_map.h"
#include "quant/nf4.h"
#include "support.h"

using namespace atelier;
using namespace atelier::test;
namespace gpu = atelier::cuda_emulated;

namespace {

constexpr double kExact = 2e-6;
// Tensor cores narrow probabilities and their gradients to bf16 on the way, each by at most 2^-8 of itself;
// matrix_ops_test.cpp says more.
constexpr double kFlash = 1.0 / 512, kFlashGradient = 1.0 / 256;

std::unique_ptr<Ops> cpu() { return make_cpu_ops({1, "portable"}); }

View slice(Matrix& m, int64_t first, int64_t cols) { return {m.values.data() + first, m.rows, cols, m.cols}; }

} // namespace

TEST_CASE("a few rows against NF4 as it is") {
    std::mt19937 random(9);
    const auto narrow = [](float v) { return static_cast<double>(bf16_to_float(float_to_bf16(v))); };
    for (const bool double_quant : {false, true})
        for (const int64_t cols :
            {int64_t{64}, int64_t{192}, int64_t{2112}}) // less than a warp takes at once, and more
            for (int64_t rows = 1; rows <= 4; ++rows) {
                CAPTURE(cols);
                CAPTURE(rows);
                const int64_t out = 11;
                Matrix weight(out, cols, random, 0.05f), x(rows, cols + 3, random), y(rows, out + 2, 7.0f),
                    expected = y;
                const Nf4Storage stored = nf4_quantize_tensor(weight.values, double_quant);
                const Weight w{WeightFormat::nf4, out, cols, nullptr, nf4_rows(stored.data(), cols)};
                std::vector<float> values(static_cast<size_t>(out * cols));
                nf4_dequantize_range(w.nf4, 0, values);
                for (int64_t r = 0; r < rows; ++r)
                    for (int64_t n = 0; n < out; ++n) {
                        double sum = 0;
                        for (int64_t k = 0; k < cols; ++k)
                            sum += narrow(x.at(r, k)) * narrow(values[static_cast<size_t>(n * cols + k)]);
                        expected.at(r, n + 1) = static_cast<float>(sum);
                    }
                const View from = slice(x, 0, cols), to = slice(y, 1, out);
                REQUIRE(gpu::row_product_runs(from, w, to));
                gpu::row_product(nullptr, from, w, to);
                CHECK(relative_error(y.values, expected.values) < 1e-5);
            }
    Matrix five(5, 64), one(1, 60), y(5, 8);
    Weight w{WeightFormat::nf4, 8, 64, nullptr, {}};
    CHECK_FALSE(gpu::row_product_runs(five.view(), w, y.view()));
    w.cols = 60;
    CHECK_FALSE(gpu::row_product_runs(one.view(), w, y.view()));
    Matrix long_rows(4, 6400), short_of_it(3, 6400); // rounded, 51,200 bytes and 38,400
    w.cols = 6400;
    CHECK_FALSE(gpu::row_product_runs(long_rows.view(), w, y.view()));
    CHECK(gpu::row_product_runs(short_of_it.view(), w, y.view()));
}

TEST_CASE("norms, modulation and rotary embedding, forward and backward") {
    std::mt19937 random(1);
    const auto ops = cpu();
    for (const int64_t cols : {int64_t{12}, int64_t{256}, int64_t{700}}) {
        CAPTURE(cols);
        Matrix x(5, cols, random), gate(1, cols, random), branch(5, cols, random), shift(1, cols, random),
            scale(1, cols, random), dy(5, cols, random), bias(1, cols, random);
        Matrix r(5, cols), y(5, cols), stats(5, 2), r2 = r, y2 = y, stats2 = stats, dr(5, cols, 0.5f), dr2 = dr;
        ops->gated_norm_modulate(
            x.view(), gate.view(), branch.view(), shift.view(), scale.view(), 1e-6f, r.view(), y.view(), stats.view());
        gpu::gated_norm_modulate(nullptr, x.view(), gate.view(), branch.view(), shift.view(), scale.view(), 1e-6f,
            r2.view(), y2.view(), stats2.view());
        CHECK(relative_error(r2.values, r.values) < kExact);
        CHECK(relative_error(y2.values, y.values) < kExact);
        CHECK(relative_error(stats2.values, stats.values) < kExact);
        ops->norm_modulate_bwd(dy.view(), r.view(), scale.view(), stats.view(), dr.view());
        gpu::norm_modulate_bwd(nullptr, dy.view(), r.view(), scale.view(), stats.view(), dr2.view());
        CHECK(relative_error(dr2.values, dr.values) < kExact);
        ops->gated_norm_modulate(x.view(), View{}, View{}, shift.view(), scale.view(), 1e-6f, View{}, y.view(), View{});
        gpu::gated_norm_modulate(
            nullptr, x.view(), View{}, View{}, shift.view(), scale.view(), 1e-6f, View{}, y2.view(), View{});
        CHECK(relative_error(y2.values, y.values) < kExact);
        ops->layer_norm(x.view(), scale.values.data(), bias.values.data(), 1e-5f, y.view());
        gpu::affine_norm(nullptr, x.view(), scale.values.data(), bias.values.data(), 1e-5f, true, y2.view());
        CHECK(relative_error(y2.values, y.values) < kExact);
        ops->rms_norm(x.view(), scale.values.data(), 1e-6f, y.view());
        gpu::affine_norm(nullptr, x.view(), scale.values.data(), nullptr, 1e-6f, false, y2.view());
        CHECK(relative_error(y2.values, y.values) < kExact);
    }
    for (const int64_t dim : {int64_t{12}, int64_t{128}}) {
        Matrix x(5, 3 * dim, random), w(1, dim, random), cos(5, dim, random), sin(5, dim, random),
            dy(5, 3 * dim, random), y(5, 3 * dim), y2 = y, d2 = dy;
        ops->qk_norm_rope(x.view(), w.values.data(), cos.view(), sin.view(), 3, 1e-6f, y.view());
        gpu::qk_norm_rope(nullptr, x.view(), w.values.data(), cos.view(), sin.view(), 3, 1e-6f, y2.view());
        CHECK(relative_error(y2.values, y.values) < kExact);
        ops->qk_norm_rope_bwd(dy.view(), x.view(), w.values.data(), cos.view(), sin.view(), 3, 1e-6f, dy.view());
        gpu::qk_norm_rope_bwd(
            nullptr, d2.view(), x.view(), w.values.data(), cos.view(), sin.view(), 3, 1e-6f, d2.view());
        CHECK(relative_error(d2.values, dy.values) < kExact);
    }
}

TEST_CASE("elementwise ops, on whole matrices and on columns of one") {
    std::mt19937 random(2);
    const auto ops = cpu();
    Matrix wide(6, 400, random), other(6, 300, random), one(1, 300, random), y(6, 300), y2 = y, sigma(1, 1, 0.3f);
    const View x = slice(wide, 50, 300);
    const auto same = [&] { CHECK(relative_error(y2.values, y.values) < kExact); };
    ops->gated_residual(x, one.view(), other.view(), y.view()),
        gpu::gated_residual(nullptr, x, one.view(), other.view(), y2.view()), same();
    ops->mul_row(x, one.view(), y.view()), gpu::mul_row(nullptr, x, one.view(), y2.view()), same();
    for (Activation kind : {Activation::gelu_tanh, Activation::silu, Activation::quick_gelu, Activation::gelu_erf}) {
        ops->activation(other.view(), kind, y.view()), gpu::activation(nullptr, other.view(), kind, y2.view()), same();
        ops->activation_bwd(x, other.view(), kind, y.view()),
            gpu::activation_bwd(nullptr, x, other.view(), kind, y2.view()), same();
    }
    ops->add(x, other.view(), y.view()), gpu::add(nullptr, x, other.view(), y2.view()), same();
    ops->mul(x, other.view(), y.view()), gpu::mul(nullptr, x, other.view(), y2.view()), same();
    ops->copy(x, y.view()), gpu::copy(nullptr, x, y2.view()), same();
    ops->flow_noise(x, other.view(), sigma.view(), y.view()),
        gpu::flow_noise(nullptr, x, other.view(), sigma.view(), y2.view()), same();
    ops->euler_step(x, other.view(), 0.9f, 0.7f, y.view()),
        gpu::euler_step(nullptr, x, other.view(), 0.7f - 0.9f, y2.view()), same();
    ops->fill(y.view(), 3), gpu::fill(nullptr, y2.view(), 3), same();
}

TEST_CASE("sums: loss and its gradient, norm, column sums") {
    std::mt19937 random(3);
    const auto ops = cpu();
    Matrix pred(70, 64, random), latents(70, 64, random), noise(70, 64, random), weight(1, 1, 1.7f), loss(1, 1),
        d(70, 64), loss2 = loss, d2 = d, out(1, 64, 0.5f), out2 = out;
    std::vector<double> partials(gpu::kPartials);
    ops->flow_loss(pred.view(), latents.view(), noise.view(), weight.view(), 0.25f, loss.view(), d.view());
    gpu::flow_loss(nullptr, pred.view(), latents.view(), noise.view(), weight.view(), 0.25f, loss2.view(), d2.view(),
        partials.data());
    CHECK(loss2.values[0] == doctest::Approx(loss.values[0]).epsilon(1e-6));
    CHECK(relative_error(d2.values, d.values) < kExact);
    for (const float knee : {0.05f, 1.0f, 40.0f}) { // errors are some 1.7: on the lines, at the bend, in the bowl
        Matrix weight_and_c(1, 2, knee);
        weight_and_c.values[0] = 1.7f;
        ops->huber_loss(pred.view(), latents.view(), noise.view(), weight_and_c.view(), 0.25f, loss.view(), d.view());
        gpu::huber_loss(nullptr, pred.view(), latents.view(), noise.view(), weight_and_c.view(), 0.25f, loss2.view(),
            d2.view(), partials.data());
        CHECK(loss2.values[0] == doctest::Approx(loss.values[0]).epsilon(1e-6));
        CHECK(relative_error(d2.values, d.values) < kExact);
    }
    gpu::sum_of_squares(nullptr, pred.view(), partials.data());
    CHECK(std::sqrt(partials[0]) == doctest::Approx(ops->l2_norm(pred.view())).epsilon(1e-12));
    ops->column_dot(pred.view(), noise.view(), out.view()),
        gpu::column_dot(nullptr, pred.view(), noise.view(), out2.view());
    CHECK(relative_error(out2.values, out.values) < kExact);
}

TEST_CASE("AdamW in all three kinds over ten steps, 8-bit codes equal the CPU's") {
    std::mt19937 random(4);
    const auto ops = cpu();
    const int64_t n = 700, blocks = 3;
    AdamArgs args;
    args.lr = 1e-2, args.weight_decay = 1e-2, args.grad_scale = 0.8f;
    Matrix p(1, n, random), p2 = p, q = p, q2 = p, e = p, e2 = p, m(1, n), v(1, n), m2 = m, v2 = v, qm = m, qv = v,
                            qm2 = m, qv2 = v, ms(1, blocks), vs(1, blocks), ms2 = ms, vs2 = vs;
    std::vector<uint8_t> mc(static_cast<size_t>(n)), vc = mc, mc2 = mc, vc2 = mc;
    const auto codes = [&](std::vector<uint8_t>& c) { return View{c.data(), n, 1, 1, DType::u8}; };
    const gpu::DynamicTables tables{signed_dynamic_map().values.data(), unsigned_dynamic_map().values.data(),
        signed_dynamic_map().step_code.data(), unsigned_dynamic_map().step_code.data()};
    for (args.step = 1; args.step <= 10; ++args.step) {
        Matrix g(1, n, random);
        ops->adamw(args, p.view(), g.view(), m.view(), v.view()),
            gpu::adamw(nullptr, adam_step(args), false, p2.view(), g.view(), m2.view(), v2.view());
        ops->adamw_bnb32(args, q.view(), g.view(), qm.view(), qv.view()),
            gpu::adamw(nullptr, adam_step_bnb32(args), true, q2.view(), g.view(), qm2.view(), qv2.view());
        ops->adamw8bit(args, e.view(), g.view(), codes(mc), codes(vc), ms.view(), vs.view());
        gpu::adamw8bit(
            nullptr, adam_step(args), tables, e2.view(), g.view(), codes(mc2), codes(vc2), ms2.view(), vs2.view());
    }
    CHECK(relative_error(p2.values, p.values) < kExact);
    CHECK(relative_error(q2.values, q.values) < kExact);
    CHECK(relative_error(e2.values, e.values) < kExact);
    CHECK(relative_error(ms2.values, ms.values) < kExact);
    CHECK(relative_error(vs2.values, vs.values) < kExact);
    CHECK(mc2 == mc);
    CHECK(vc2 == vc);
}

TEST_CASE("NF4 to bf16: whole blocks, odd rows, ranges of columns, scales counted by row, double quantisation") {
    std::mt19937 random(5);
    struct Case {
        int64_t rows, cols;
        bool by_row;
    };
    for (const Case& c : {Case{7, 192, false}, Case{300, 64, false}, Case{5, 33, false}, Case{9, 96, true}})
        for (const bool twice : {false, true}) {
            CAPTURE(c.cols);
            Matrix w(c.rows, c.cols, random);
            const Nf4Storage stored = nf4_quantize_tensor(w.values, twice);
            Weight weight{
                WeightFormat::nf4, c.rows, c.cols, nullptr, c.by_row ? nf4_rows(stored.data(), c.cols) : stored.data()};
            std::vector<float> expected(w.values.size());
            nf4_dequantize_range(weight.nf4, 0, expected);
            const int64_t block = c.cols / 3 / 64 * 64; // where a later block begins, if there is one
            for (const gpu::WeightPart& part : {gpu::WeightPart{2, c.rows - 3, 0, c.cols},
                     {1, c.rows - 1, block, c.cols - block}, {0, c.rows, 5, c.cols - 9}}) {
                CAPTURE(part.col);
                const int64_t ld = (part.cols + 7) / 8 * 8;
                std::vector<uint16_t> out(static_cast<size_t>(part.rows * ld + 8), 0x7fc0);
                uint16_t* aligned = out.data() + (16 - reinterpret_cast<uintptr_t>(out.data()) % 16) % 16 / 2;
                gpu::dequantize_nf4(nullptr, weight, part, aligned, ld);
                int64_t wrong = 0;
                for (int64_t i = 0; i < part.rows; ++i)
                    for (int64_t j = 0; j < part.cols; ++j)
                        wrong += aligned[i * ld + j] !=
                                 float_to_bf16(expected[static_cast<size_t>((part.row + i) * c.cols + part.col + j)]);
                CHECK(wrong == 0);
            }
        }
}

TEST_CASE("e4m3: scales from the largest magnitude, rows of activations, NF4 as rows and turned") {
    std::mt19937 random(8);
    std::vector<float> partials(gpu::kPartials);
    struct alignas(16) Sixteen {
        uint8_t v[16];
    };
    float scale = 0;
    for (const float largest : {3.0f, 900.0f, 1e-3f, 0.0f}) // wide loads and single ones, two types, rows at a distance
        for (const int64_t cols : {int64_t{64}, int64_t{1088}, int64_t{50}}) {
            CAPTURE(cols);
            Matrix x(37, cols + 4, random, largest / 5);
            x.at(36, cols - 1) = -largest;
            for (float& v : x.values) v = std::clamp(v, -largest, largest);
            HalfMatrix half(x);
            for (const bool narrow : {false, true}) {
                View view = narrow ? half.view() : x.view();
                view.cols = cols;
                const Matrix source = narrow ? half.wide() : x;
                gpu::e4m3_scale_of(nullptr, view, partials.data(), &scale);
                CHECK(scale == e4m3_scale(std::fabs(source.values[static_cast<size_t>(36 * (cols + 4) + cols - 1)])));
                const int64_t ld = (cols + 15) / 16 * 16;
                std::vector<Sixteen> out(static_cast<size_t>(37 * ld / 16));
                gpu::narrow_rows_e4m3(nullptr, view, &scale, out[0].v, ld);
                int64_t wrong = 0;
                for (int64_t i = 0; i < 37; ++i)
                    for (int64_t j = 0; j < cols; ++j) {
                        const float value = source.values[static_cast<size_t>(i * (cols + 4) + j)];
                        wrong += out[0].v[i * ld + j] != float_to_e4m3(value * (1 / scale));
                    }
                CHECK(wrong == 0);
            }
        }
    for (const bool twice : {false, true})
        for (const int64_t rows : {int64_t{48}, int64_t{272}}) {
            CAPTURE(rows);
            constexpr int64_t cols = 192;
            Matrix w(rows, cols, random);
            const Nf4Storage stored = nf4_quantize_tensor(w.values, twice);
            std::vector<Sixteen> packed(stored.packed.size() / 16);
            std::copy(stored.packed.begin(), stored.packed.end(), packed[0].v);
            Weight weight{WeightFormat::nf4, rows, cols, nullptr, stored.data()};
            weight.nf4.packed = packed[0].v;
            std::vector<float> wide(w.values.size());
            nf4_dequantize_range(weight.nf4, 0, wide);
            const float largest = std::fabs(*std::max_element(
                wide.begin(), wide.end(), [](float a, float b) { return std::fabs(a) < std::fabs(b); }));
            gpu::e4m3_scale_of(nullptr, weight, partials.data(), &scale);
            CHECK(scale == e4m3_scale(largest));
            const auto expected = [&](int64_t row, int64_t col) {
                const int64_t index = row * cols + col;
                const uint8_t byte = weight.nf4.packed[index / 2];
                return float_to_e4m3(
                    kNf4Code[index & 1 ? byte & 15 : byte >> 4] * (weight.nf4.block_scale(index / 64) * (1 / scale)));
            };
            std::vector<Sixteen> part(static_cast<size_t>((rows - 16) * cols / 16)),
                turned(static_cast<size_t>(128 * rows / 16));
            gpu::nf4_rows_e4m3(nullptr, weight, 16, rows - 16, &scale, part[0].v);
            gpu::nf4_columns_e4m3(nullptr, weight, 64, 128, &scale, turned[0].v);
            int64_t wrong = 0, wrong_turned = 0;
            for (int64_t i = 16; i < rows; ++i)
                for (int64_t j = 0; j < cols; ++j) wrong += part[0].v[(i - 16) * cols + j] != expected(i, j);
            for (int64_t i = 0; i < rows; ++i)
                for (int64_t j = 64; j < cols; ++j) wrong_turned += turned[0].v[(j - 64) * rows + i] != expected(i, j);
            CHECK(wrong == 0);
            CHECK(wrong_turned == 0);
        }
}

TEST_CASE("attention: flash at 64 and 128, plain for other heads, masks and biases, with bf16 matrices the same "
          "results, rounded") {
    std::mt19937 random(7);
    const auto ops = cpu();
    struct Case {
        int64_t heads, dim, queries, keys;
        bool causal, bias;
    };
    for (const Case& c : {Case{2, 64, 100, 100, false, false}, Case{1, 128, 70, 133, false, false},
             Case{2, 20, 40, 33, false, false}, Case{2, 64, 30, 30, true, false}, Case{2, 16, 20, 20, false, true}}) {
        CAPTURE(c.dim);
        const int64_t width = c.heads * c.dim;
        const auto drawn = [&](int64_t rows) { return HalfMatrix(Matrix(rows, width, random)).wide(); };
        Matrix q = drawn(c.queries), k = drawn(c.keys), v = drawn(c.keys), dout = drawn(c.queries), o(c.queries, width),
               lse(c.heads, c.queries), o2 = o, lse2 = lse, lse3 = lse, bias(c.heads * c.queries, c.keys, random),
               delta(c.heads, c.queries), dq(c.queries, width), dk(c.keys, width), dv(c.keys, width), dq2 = dq,
               dk2 = dk, dv2 = dv;
        AttentionArgs t{q.view(), k.view(), v.view(), o.view(), lse.view(), c.heads, c.dim,
            1.0f / std::sqrt(static_cast<float>(c.dim)), c.causal, c.bias ? bias.values.data() : nullptr};
        ops->attention(t);
        t.o = o2.view(), t.lse = lse2.view();
        const bool flash = c.dim >= 64 && !c.causal;
        const auto run = [&](const AttentionArgs& args) {
            REQUIRE(gpu::flash_runs(args) == flash);
            flash ? gpu::flash_attention(nullptr, args) : gpu::plain_attention(nullptr, args);
        };
        run(t);
        CHECK(relative_error(o2.values, o.values) < (flash ? kFlash : kExact));
        CHECK(relative_error(lse2.values, lse.values) < kExact);
        HalfMatrix hq(q), hk(k), hv(v), hdout(dout), ho(Matrix(c.queries, width)), hdq(dq), hdk(dk), hdv(dv);
        AttentionArgs half = t;
        half.q = hq.view(), half.k = hk.view(), half.v = hv.view(), half.o = ho.view(), half.lse = lse3.view();
        run(half);
        CHECK(ho.bits == HalfMatrix(o2).bits);
        CHECK(lse3.values == lse2.values);
        if (c.causal || c.bias) continue;
        o = ho.wide(); // one o for all three
        AttentionBwdArgs b{dout.view(), q.view(), k.view(), v.view(), o.view(), lse.view(), dq.view(), dk.view(),
            dv.view(), delta.view(), c.heads, c.dim, t.scale};
        const auto run_back = [&](const AttentionBwdArgs& args) {
            REQUIRE(gpu::flash_runs(args) == flash);
            flash ? gpu::flash_attention_bwd(nullptr, args) : gpu::plain_attention_bwd(nullptr, args);
        };
        ops->attention_bwd(b);
        b.dq = dq2.view(), b.dk = dk2.view(), b.dv = dv2.view();
        run_back(b);
        CHECK(relative_error(dq2.values, dq.values) < (flash ? kFlashGradient : 5 * kExact));
        CHECK(relative_error(dk2.values, dk.values) < (flash ? kFlashGradient : 5 * kExact));
        CHECK(relative_error(dv2.values, dv.values) < (flash ? kFlashGradient : 5 * kExact));
        b.dout = hdout.view(), b.q = hq.view(), b.k = hk.view(), b.v = hv.view(), b.o = ho.view(), b.dq = hdq.view(),
        b.dk = hdk.view(), b.dv = hdv.view();
        run_back(b);
        CHECK(hdq.bits == HalfMatrix(dq2).bits);
        CHECK(hdk.bits == HalfMatrix(dk2).bits);
        CHECK(hdv.bits == HalfMatrix(dv2).bits);
    }
}
