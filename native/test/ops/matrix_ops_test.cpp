// Products, LoRA branches and attention against plain double-precision loops, for every backend, format and awkward
// size.
#include <doctest/doctest.h>

#include "base/fp8.h"
#include "base/half.h"
#include "ops/backends.h"
#include "ops/math/activations.h"
#include "quant/nf4.h"
#include "support.h"

using namespace atelier;
using namespace atelier::test;

namespace {

struct StoredWeight {
    std::vector<float> wide; // what the format holds, as f32
    std::vector<uint16_t> half;
    Nf4Storage nf4;
    Weight weight;
};

StoredWeight store(Matrix& w, WeightFormat format, bool double_quant = false) {
    StoredWeight s;
    s.weight.format = format;
    s.weight.rows = w.rows;
    s.weight.cols = w.cols;
    s.wide = w.values;
    if (format == WeightFormat::f32) s.weight.dense = w.values.data();
    if (format == WeightFormat::f16 || format == WeightFormat::bf16) {
        for (float& v : s.wide) {
            s.half.push_back(format == WeightFormat::f16 ? float_to_f16(v) : float_to_bf16(v));
            v = format == WeightFormat::f16 ? f16_to_float(s.half.back()) : bf16_to_float(s.half.back());
        }
        s.weight.dense = s.half.data();
    }
    if (format == WeightFormat::nf4) {
        s.nf4 = nf4_quantize_tensor(w.values, double_quant);
        s.weight.nf4 = nf4_rows(s.nf4.data(), w.cols); // K = 96 below is the one that is read row by row
        nf4_dequantize_range(s.weight.nf4, 0, s.wide);
    }
    return s;
}

// Tensor cores narrow the probabilities and their gradients on the way, which no rounded input repeats: each term of a
// sum is off by at most 2^-8 of itself. In o, a mean of many values, such errors cancel in part; a gradient can rest on
// few terms. Measured: 0.16 and 0.77 of 2^-8.
constexpr double kFlash = 1.0 / 512, kFlashGradient = 1.0 / 256;

struct Shape {
    int64_t M, N, K, rank;
};
const Shape kShapes[] = {{1, 7, 5, 2}, {3, 64, 96, 4}, {5, 33, 300, 1}, {13, 50, 70, 4}, {64, 200, 513, 8},
    {97, 400, 64, 3}, {200, 24, 31, 16}, {21, 72, 640, 16}};

} // namespace

TEST_CASE("linear and its input gradient equal plain sums in every weight format") {
    std::mt19937 random(1);
    for (const auto& ops : backends())
        for (const Shape& s : kShapes)
            for (const WeightFormat format :
                {WeightFormat::f32, WeightFormat::f16, WeightFormat::bf16, WeightFormat::nf4}) {
                CAPTURE(ops->name());
                CAPTURE(s.M);
                CAPTURE(s.N);
                CAPTURE(s.K);
                CAPTURE(static_cast<int>(format));
                Matrix x = kept(*ops, {s.M, s.K, random}), w(s.N, s.K, random), bias(1, s.N, random),
                       a(s.rank, s.K, random), b(s.N, s.rank, random), y(s.M, s.N), pre(s.M, s.N), xa(s.M, s.rank);
                const StoredWeight stored = store(w, format, s.N % 2 == 0);
                ops->lora_down(x.view(), a.view(), xa.view());
                LinearArgs t;
                t.x = x.view();
                t.w = stored.weight;
                t.bias = bias.values.data();
                t.activation = Activation::gelu_tanh;
                t.lora_xa = xa.view();
                t.lora_b = b.view();
                t.lora_scale = 0.7f;
                t.y = y.view();
                t.pre = pre.view();
                ops->linear(t);
                std::vector<double> expected_pre, expected;
                for (int64_t i = 0; i < s.M; ++i)
                    for (int64_t n = 0; n < s.N; ++n) {
                        double sum = bias.values[static_cast<size_t>(n)];
                        for (int64_t k = 0; k < s.K; ++k)
                            sum += operand(*ops, x.at(i, k)) *
                                   operand(*ops, stored.wide[static_cast<size_t>(n * s.K + k)]);
                        for (int64_t r = 0; r < s.rank; ++r) {
                            double down = 0;
                            for (int64_t k = 0; k < s.K; ++k) down += static_cast<double>(x.at(i, k)) * a.at(r, k);
                            sum += 0.7 * down * b.at(n, r);
                        }
                        expected_pre.push_back(sum);
                        const double v = pre.at(i, n); // what was kept is what the activation took
                        expected.push_back(0.5 * v * (1 + std::tanh(0.7978845608028654 * (v + 0.044715 * v * v * v))));
                    }
                CHECK(relative_error(pre.values, expected_pre) < tolerance(*ops, 3e-6));
                CHECK(relative_error(y.values, expected) < tolerance(*ops, 3e-6));
                if (format == WeightFormat::f32) { // the same bits where nobody keeps it
                    Matrix alone(s.M, s.N);
                    t.pre = {};
                    t.y = alone.view();
                    ops->linear(t);
                    CHECK(alone.values == y.values);
                }

                Matrix dy = kept(*ops, {s.M, s.N, random}), dx(s.M, s.K, 1.0f), dxa(s.M, s.rank), da(s.rank, s.K, 0.5f),
                       db(s.N, s.rank, 0.25f);
                LoraGradArgs g;
                g.x = x.view();
                g.xa = xa.view();
                g.dy = dy.view();
                g.b = b.view();
                g.scale = 0.7f;
                g.dxa = dxa.view();
                g.da = da.view();
                g.db = db.view();
                ops->lora_grad(g);
                LinearDxArgs d;
                d.dy = dy.view();
                d.w = stored.weight;
                d.lora_dxa = dxa.view();
                d.lora_a = a.view();
                d.dx = dx.view();
                d.accumulate = true;
                ops->linear_dx(d);
                std::vector<double> expected_dx(static_cast<size_t>(s.M * s.K), 1.0),
                    expected_da(static_cast<size_t>(s.rank * s.K), 0.5),
                    expected_db(static_cast<size_t>(s.N * s.rank), 0.25);
                for (int64_t i = 0; i < s.M; ++i) {
                    std::vector<double> down(static_cast<size_t>(s.rank)), back(static_cast<size_t>(s.rank));
                    for (int64_t r = 0; r < s.rank; ++r) {
                        for (int64_t k = 0; k < s.K; ++k)
                            down[static_cast<size_t>(r)] += static_cast<double>(x.at(i, k)) * a.at(r, k);
                        for (int64_t n = 0; n < s.N; ++n)
                            back[static_cast<size_t>(r)] += 0.7 * dy.at(i, n) * b.at(n, r);
                    }
                    for (int64_t k = 0; k < s.K; ++k) {
                        double& sum = expected_dx[static_cast<size_t>(i * s.K + k)];
                        for (int64_t n = 0; n < s.N; ++n)
                            sum += operand(*ops, dy.at(i, n)) *
                                   operand(*ops, stored.wide[static_cast<size_t>(n * s.K + k)]);
                        for (int64_t r = 0; r < s.rank; ++r) {
                            sum += back[static_cast<size_t>(r)] * a.at(r, k);
                            expected_da[static_cast<size_t>(r * s.K + k)] += back[static_cast<size_t>(r)] * x.at(i, k);
                        }
                    }
                    for (int64_t n = 0; n < s.N; ++n)
                        for (int64_t r = 0; r < s.rank; ++r)
                            expected_db[static_cast<size_t>(n * s.rank + r)] +=
                                0.7 * dy.at(i, n) * down[static_cast<size_t>(r)];
                }
                CHECK(relative_error(dx.values, expected_dx) < tolerance(*ops, 3e-6));
                CHECK(relative_error(da.values, expected_da) < 3e-6);
                CHECK(relative_error(db.values, expected_db) < 3e-6);
            }
}

TEST_CASE("every activation joins a linear as it stands alone, on rows that are moved together and on odd ones") {
    std::mt19937 random(13);
    for (const auto& ops : backends(Workspaces::usual))
        for (const int64_t out : {int64_t{40}, int64_t{37}})
            for (const Activation kind : {Activation::none, Activation::silu, Activation::gelu_tanh,
                     Activation::quick_gelu, Activation::gelu_erf}) {
                CAPTURE(ops->name());
                CAPTURE(out);
                CAPTURE(static_cast<int>(kind));
                Matrix x = kept(*ops, {9, 24, random}), w(out, 24, random), y(9, out), pre = y, alone = y;
                const StoredWeight stored = store(w, WeightFormat::f32);
                LinearArgs t;
                t.x = x.view(), t.w = stored.weight, t.activation = kind, t.y = y.view(), t.pre = pre.view();
                ops->linear(t);
                ops->activation(pre.view(), kind, alone.view());
                CHECK(relative_error(y.values, alone.values) < tolerance(*ops, 1e-6));
            }
}

TEST_CASE("linears read one type and write another, with and without something to add to the product") {
    std::mt19937 random(4);
    for (const bool cramped : {false, true})
        for (const Shape& s : {Shape{13, 50, 70, 4}, Shape{97, 400, 64, 3},
                 Shape{70, 200, 512, 4}}) // bf16 rows of 64 and 512 are read where they lie
            for (const bool half_in : {false, true})
                for (const bool half_out : {false, true})
                    for (const bool adds : {false, true}) {
                        CAPTURE(cramped);
                        CAPTURE(s.N);
                        CAPTURE(half_in);
                        CAPTURE(half_out);
                        CAPTURE(adds);
                        const auto ops = host_facing(make_emulated_cuda_ops({cramped}));
                        Matrix x = HalfMatrix(Matrix(s.M, s.K, random)).wide(),
                               dy = HalfMatrix(Matrix(s.M, s.N, random)).wide(), w(s.N, s.K, random),
                               bias(1, s.N, random), a(s.rank, s.K, random), dxa(s.M, s.rank, random), y(s.M, s.N),
                               dx(s.M, s.K, 1.0f);
                        HalfMatrix half_x(x), half_dy(dy), half_y(y), half_dx(dx);
                        const StoredWeight stored = store(w, s.K % 64 == 0 ? WeightFormat::nf4 : WeightFormat::bf16);
                        LinearArgs t;
                        t.x = half_in ? half_x.view() : x.view();
                        t.w = stored.weight;
                        t.bias = adds ? bias.values.data() : nullptr;
                        t.y = half_out ? half_y.view() : y.view();
                        ops->linear(t);
                        LinearDxArgs d;
                        d.dy = half_in ? half_dy.view() : dy.view();
                        d.w = stored.weight;
                        if (adds) d.lora_dxa = dxa.view(), d.lora_a = a.view();
                        d.dx = half_out ? half_dx.view() : dx.view();
                        d.accumulate = true;
                        ops->linear_dx(d);
                        std::vector<double> expected, expected_dx;
                        for (int64_t i = 0; i < s.M; ++i) {
                            for (int64_t n = 0; n < s.N; ++n) {
                                double sum = adds ? bias.values[static_cast<size_t>(n)] : 0;
                                for (int64_t k = 0; k < s.K; ++k)
                                    sum += x.at(i, k) * operand(*ops, stored.wide[static_cast<size_t>(n * s.K + k)]);
                                expected.push_back(sum);
                            }
                            for (int64_t k = 0; k < s.K; ++k) {
                                double sum = 1;
                                for (int64_t n = 0; n < s.N; ++n)
                                    sum += dy.at(i, n) * operand(*ops, stored.wide[static_cast<size_t>(n * s.K + k)]);
                                for (int64_t r = 0; adds && r < s.rank; ++r)
                                    sum += static_cast<double>(dxa.at(i, r)) * a.at(r, k);
                                expected_dx.push_back(sum);
                            }
                        }
                        const double once = half_out ? 1.0 / 256 : 0; // as tolerance() says
                        CHECK(relative_error(half_out ? half_y.wide().values : y.values, expected) < 3e-6 + once);
                        CHECK(relative_error(half_out ? half_dx.wide().values : dx.values, expected_dx) < 3e-6 + once);
                    }
}

namespace {

// A matrix as products with fp8 take it: under one scale, times which it is given back.
Matrix as_e4m3(Matrix m) {
    float largest = 0;
    for (const float v : m.values) largest = std::max(largest, std::fabs(v));
    const float scale = e4m3_scale(largest);
    for (float& v : m.values) v = e4m3_to_float(float_to_e4m3(v * (1 / scale))) * scale;
    return m;
}

// The same of NF4, in the kernels' order: a block's factor first.
Matrix as_e4m3(const Weight& w, float largest) {
    const float scale = e4m3_scale(largest);
    Matrix m(w.rows, w.cols);
    for (int64_t i = 0; i < w.rows * w.cols; ++i) {
        const uint8_t byte = w.nf4.packed[i / 2];
        const float factor = w.nf4.block_scale(w.nf4.block_of(i)) * (1 / scale);
        m.values[static_cast<size_t>(i)] =
            e4m3_to_float(float_to_e4m3(kNf4Code[i % 2 ? byte & 15 : byte >> 4] * factor)) * scale;
    }
    return m;
}

double cosine(const std::vector<float>& a, const std::vector<double>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); ++i) ab += a[i] * b[i], aa += static_cast<double>(a[i]) * a[i], bb += b[i] * b[i];
    return ab / std::sqrt(aa * bb);
}

} // namespace

TEST_CASE("a weight that was widened beforehand gives the bits of its NF4 form, however it is cut") {
    std::mt19937 random(12);
    for (const auto& ops : backends()) {
        if (ops->memory().on_host()) continue; // has its own sums for each format
        for (const Shape& s : {Shape{21, 72, 640, 4}, Shape{21, 640, 128, 4}}) { // cut along columns, and rows
            CAPTURE(ops->name());
            CAPTURE(s.K);
            Matrix x = kept(*ops, {s.M, s.K, random}), w(s.N, s.K, random), bias(1, s.N, random), y(s.M, s.N), y2 = y;
            const StoredWeight narrow = store(w, WeightFormat::nf4);
            Matrix wide(s.N, s.K);
            wide.values = narrow.wide;
            const StoredWeight widened = store(wide, WeightFormat::bf16);
            LinearArgs t;
            t.x = x.view(), t.w = narrow.weight, t.bias = bias.values.data(), t.y = y.view();
            ops->linear(t);
            t.w = widened.weight, t.y = y2.view();
            ops->linear(t);
            CHECK(y.values == y2.values);
        }
    }
}

TEST_CASE("fp8: linears of NF4 weights are sums over operands rounded to e4m3, whatever the size of the pieces, and "
          "stay near the unrounded") {
    std::mt19937 random(6);
    for (const Shape& s : {Shape{97, 416, 192, 4}, Shape{16, 48, 64, 2}})
        for (const DType activations : {DType::f32, DType::bf16})
            for (const bool adds : {false, true}) {
                CAPTURE(s.N);
                CAPTURE(static_cast<int>(activations));
                CAPTURE(adds);
                // Both sides of e4m3's range: gradients are small numbers, far below 2^-9.
                Matrix x = HalfMatrix(Matrix(s.M, s.K, random, 3)).wide(),
                       dy = HalfMatrix(Matrix(s.M, s.N, random, 1e-6f)).wide(), w(s.N, s.K, random, 0.02f),
                       bias(1, s.N, random), a(s.rank, s.K, random, 0.02f), dxa(s.M, s.rank, random, 1e-6f);
                const StoredWeight stored = store(w, WeightFormat::nf4, adds);
                Matrix wide(s.N, s.K);
                wide.values = stored.wide;
                const auto [least, most] = std::minmax_element(wide.values.begin(), wide.values.end());
                Matrix x8 = as_e4m3(x), dy8 = as_e4m3(dy), w8 = as_e4m3(stored.weight, std::max(-*least, *most));
                std::vector<double> expected, plain, expected_dx, plain_dx;
                for (int64_t i = 0; i < s.M; ++i) {
                    for (int64_t n = 0; n < s.N; ++n) {
                        double sum = adds ? bias.values[static_cast<size_t>(n)] : 0, unrounded = sum;
                        for (int64_t k = 0; k < s.K; ++k) {
                            sum += static_cast<double>(x8.at(i, k)) * w8.at(n, k);
                            unrounded += static_cast<double>(x.at(i, k)) * wide.at(n, k);
                        }
                        expected.push_back(sum), plain.push_back(unrounded);
                    }
                    for (int64_t k = 0; k < s.K; ++k) {
                        double sum = 1e-6, unrounded = 1e-6;
                        for (int64_t n = 0; n < s.N; ++n) {
                            sum += static_cast<double>(dy8.at(i, n)) * w8.at(n, k);
                            unrounded += static_cast<double>(dy.at(i, n)) * wide.at(n, k);
                        }
                        for (int64_t r = 0; adds && r < s.rank; ++r) {
                            const double low = static_cast<double>(dxa.at(i, r)) * a.at(r, k);
                            sum += low, unrounded += low;
                        }
                        expected_dx.push_back(sum), plain_dx.push_back(unrounded);
                    }
                }
                std::vector<Matrix> results;
                std::vector<std::unique_ptr<Ops>> all;
                for (const bool cramped : {false, true})
                    all.push_back(host_facing(make_emulated_cuda_ops({cramped, activations, true})));
                if (activations == DType::bf16 && card_has_fp8()) all.push_back(host_facing(make_cuda_ops(0, true)));
                for (const auto& ops : all) {
                    const double sums =
                        ops == all[0] || ops == all[1]
                            ? 3e-6
                            : 1e-3; // a card's tensor cores keep fewer bits of a sum of fp8 than fp32 has
                    Matrix y(s.M, s.N), dx(s.M, s.K, 1e-6f);
                    LinearArgs t;
                    t.x = x.view(), t.w = stored.weight, t.y = y.view();
                    t.bias = adds ? bias.values.data() : nullptr;
                    ops->linear(t);
                    LinearDxArgs d;
                    d.dy = dy.view(), d.w = stored.weight, d.dx = dx.view();
                    if (adds) d.lora_dxa = dxa.view(), d.lora_a = a.view();
                    d.accumulate = true;
                    ops->linear_dx(d);
                    CHECK(relative_error(y.values, expected) < tolerance(*ops, sums));
                    CHECK(relative_error(dx.values, expected_dx) < tolerance(*ops, sums));
                    CHECK(cosine(y.values, plain) > 0.999);
                    CHECK(cosine(dx.values, plain_dx) > 0.999);
                    CHECK(cosine(y.values, plain) < 0.99999); // it was rounded
                    results.push_back(y), results.push_back(dx);
                }
                CHECK(results[2].values == results[0].values);
                CHECK(results[3].values == results[1].values);
            }
}

TEST_CASE("fp8: other weights, few rows and sizes that do not fit are products of bf16, as without it") {
    std::mt19937 random(7);
    const auto fp8 = host_facing(make_emulated_cuda_ops({false, DType::f32, true})),
               bf16 = host_facing(make_emulated_cuda_ops());
    struct Case {
        Shape shape;
        WeightFormat format;
        int64_t ld;
        bool same;
    };
    constexpr WeightFormat nf4 = WeightFormat::nf4;
    for (const Case& c : {Case{{15, 48, 64, 1}, nf4, 48, true}, {{16, 48, 64, 1}, WeightFormat::bf16, 48, true},
             {{16, 48, 96, 1}, nf4, 48, true}, {{16, 40, 64, 1}, nf4, 40, true}, {{16, 48, 64, 1}, nf4, 50, true},
             {{16, 48, 64, 1}, nf4, 48, false}}) {
        Matrix x(c.shape.M, c.shape.K, random), w(c.shape.N, c.shape.K, random), y(c.shape.M, c.ld), y2 = y;
        const StoredWeight stored = store(w, c.format);
        LinearArgs t;
        t.x = x.view(), t.w = stored.weight, t.y = {y.values.data(), c.shape.M, c.shape.N, c.ld};
        fp8->linear(t);
        t.y.data = y2.values.data();
        bf16->linear(t);
        CHECK((y.values == y2.values) == c.same);
    }
}

TEST_CASE("attention and linears refuse activations of two types where one is meant") {
    std::mt19937 random(5);
    const auto ops = host_facing(make_emulated_cuda_ops());
    Matrix x(8, 64, random), lse(1, 8), w(64, 64, random);
    HalfMatrix half(x), half_lse(lse);
    const auto refused = [](auto&& op) { CHECK(refusal(op).find("BF16") != std::string::npos); };
    LinearArgs t;
    t.x = x.view(), t.w = store(w, WeightFormat::f32).weight, t.y = half.view();
    Matrix pre = x;
    t.pre = pre.view();
    refused([&] { ops->linear(t); }); // of y and pre
    refused([&] { ops->lora_down(x.view(), half.view(), lse.view()); });
    const Matrix same = x;
    Matrix q = same, k = same, v = same;
    HalfMatrix o(same);
    refused([&] { ops->attention({q.view(), k.view(), v.view(), o.view(), lse.view(), 1, 64, 1}); });
    Matrix wide_o = same;
    refused([&] { ops->attention({q.view(), k.view(), v.view(), wide_o.view(), half_lse.view(), 1, 64, 1}); });
}

TEST_CASE("a product does not depend on the number of threads") {
    std::mt19937 random(2);
    Matrix x(77, 300, random), w(130, 300, random), one(77, 130), three(77, 130);
    LinearArgs t;
    t.x = x.view();
    t.w.rows = 130;
    t.w.cols = 300;
    t.w.dense = w.values.data();
    t.activation = Activation::silu;
    t.y = one.view();
    make_cpu_ops({1, "auto"})->linear(t);
    t.y = three.view();
    make_cpu_ops({3, "auto"})->linear(t);
    CHECK(one.values == three.values);
}

TEST_CASE("attention and its gradients equal softmax in double precision") {
    std::mt19937 random(3);
    struct Case {
        int64_t heads, dim, queries, keys;
        bool causal, bias;
    };
    for (const auto& ops : backends(Workspaces::usual)) // attention takes none
        for (const Case& c :
            {Case{2, 32, 30, 30, false, false}, Case{3, 20, 300, 270, false, false}, Case{2, 8, 77, 77, true, false},
                Case{4, 16, 140, 140, false, true}, Case{1, 128, 200, 200, false, false},
                Case{2, 64, 70, 133, false, false}, Case{1, 256, 33, 33, false, false}}) {
            CAPTURE(ops->name());
            CAPTURE(c.dim);
            CAPTURE(c.queries);
            const int64_t width = c.heads * c.dim;
            const bool flash =
                (c.dim == 64 || c.dim == 128) && !ops->memory().on_host(); // the one that the tensor cores take
            const auto drawn = [&](int64_t rows) { // tensor cores take bf16 operands, so that only what they narrow on
                                                   // the way is left to tell apart
                const Matrix m(rows, width, random);
                return flash ? HalfMatrix(m).wide() : kept(*ops, m);
            };
            Matrix q = drawn(c.queries), k = drawn(c.keys), v = drawn(c.keys), dout = drawn(c.queries),
                   o(c.queries, width), lse(c.heads, c.queries);
            Matrix bias(c.heads * c.queries, c.keys, random), dq(c.queries, width), dk(c.keys, width),
                dv(c.keys, width), delta(c.heads, c.queries);
            const float scale = 1.0f / std::sqrt(static_cast<float>(c.dim));
            AttentionArgs t;
            t.q = q.view();
            t.k = k.view();
            t.v = v.view();
            t.o = o.view();
            t.lse = lse.view();
            t.heads = c.heads;
            t.dim = c.dim;
            t.scale = scale;
            t.causal = c.causal;
            t.bias = c.bias ? bias.values.data() : nullptr;
            ops->attention(t);
            std::vector<double> out(o.values.size()), edq(q.values.size()), edk(k.values.size()), edv(v.values.size());
            for (int64_t h = 0; h < c.heads; ++h)
                for (int64_t i = 0; i < c.queries; ++i) {
                    std::vector<double> p(static_cast<size_t>(c.keys));
                    double sum = 0;
                    for (int64_t j = 0; j < c.keys; ++j) {
                        if (c.causal && j > i) continue;
                        double s = 0;
                        for (int64_t d = 0; d < c.dim; ++d)
                            s += static_cast<double>(q.at(i, h * c.dim + d)) * k.at(j, h * c.dim + d);
                        s = s * scale + (c.bias ? bias.at(h * c.queries + i, j) : 0);
                        sum += p[static_cast<size_t>(j)] = std::exp(s);
                    }
                    double mean = 0;
                    std::vector<double> dp(static_cast<size_t>(c.keys));
                    for (int64_t j = 0; j < c.keys; ++j) {
                        p[static_cast<size_t>(j)] /= sum;
                        for (int64_t d = 0; d < c.dim; ++d) {
                            out[static_cast<size_t>(i * width + h * c.dim + d)] +=
                                p[static_cast<size_t>(j)] * v.at(j, h * c.dim + d);
                            dp[static_cast<size_t>(j)] +=
                                static_cast<double>(dout.at(i, h * c.dim + d)) * v.at(j, h * c.dim + d);
                            edv[static_cast<size_t>(j * width + h * c.dim + d)] +=
                                p[static_cast<size_t>(j)] * dout.at(i, h * c.dim + d);
                        }
                    }
                    for (int64_t d = 0; d < c.dim; ++d)
                        mean += static_cast<double>(dout.at(i, h * c.dim + d)) *
                                o.at(i, h * c.dim + d); // of o as it was kept
                    for (int64_t j = 0; j < c.keys; ++j) {
                        const double ds = p[static_cast<size_t>(j)] * (dp[static_cast<size_t>(j)] - mean) * scale;
                        for (int64_t d = 0; d < c.dim; ++d) {
                            edq[static_cast<size_t>(i * width + h * c.dim + d)] += ds * k.at(j, h * c.dim + d);
                            edk[static_cast<size_t>(j * width + h * c.dim + d)] += ds * q.at(i, h * c.dim + d);
                        }
                    }
                }
            CHECK(relative_error(o.values, out) < tolerance(*ops, flash ? kFlash : 3e-6));
            if (c.causal || c.bias) continue; // no backward through encoders
            AttentionBwdArgs b;
            b.dout = dout.view();
            b.q = q.view();
            b.k = k.view();
            b.v = v.view();
            b.o = o.view();
            b.lse = lse.view();
            b.dq = dq.view();
            b.dk = dk.view();
            b.dv = dv.view();
            b.delta = delta.view();
            b.heads = c.heads;
            b.dim = c.dim;
            b.scale = scale;
            ops->attention_bwd(b);
            CHECK(relative_error(dq.values, edq) < tolerance(*ops, flash ? kFlashGradient : 1e-5));
            CHECK(relative_error(dk.values, edk) < tolerance(*ops, flash ? kFlashGradient : 1e-5));
            CHECK(relative_error(dv.values, edv) < tolerance(*ops, flash ? kFlashGradient : 1e-5));
        }
}

TEST_CASE("an instruction set that does not exist is refused by name") {
    CHECK_THROWS_AS(make_cpu_ops({1, "sse9"}), Error);
}
