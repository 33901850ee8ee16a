// What the descriptions of op_records_test do not say: activations far out, columns of wider matrices, types that are
// refused, optimizers.
#include <doctest/doctest.h>

#include "ops/backends.h"
#include "ops/math/activations.h"
#include "support.h"

using namespace atelier;
using namespace atelier::test;

namespace {

using Vec = std::vector<double>;

Vec doubles(const Matrix& m) { return Vec(m.values.begin(), m.values.end()); }

} // namespace

TEST_CASE("activations and their slopes, far out and near zero") {
    std::vector<float> points;
    for (double x = -30; x <= 30; x += 0.0137) points.push_back(static_cast<float>(x));
    for (double x = 1e-8; x < 1; x *= 3)
        points.push_back(static_cast<float>(x)), points.push_back(static_cast<float>(-x));
    const auto exact = [](Activation kind, double x) {
        switch (kind) {
            case Activation::gelu_tanh:
                return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
            case Activation::silu: return x / (1 + std::exp(-x));
            case Activation::quick_gelu: return x / (1 + std::exp(-1.702 * x));
            default: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
        }
    };
    for (const auto& ops : backends())
        for (Activation kind :
            {Activation::gelu_tanh, Activation::silu, Activation::quick_gelu, Activation::gelu_erf}) {
            CAPTURE(ops->name());
            CAPTURE(static_cast<int>(kind));
            Matrix x(1, static_cast<int64_t>(points.size())), y = x, one(1, x.cols, 1.0f), slope = x;
            x.values = points;
            x = kept(*ops, x);
            ops->activation(x.view(), kind, y.view());
            ops->activation_bwd(one.view(), x.view(), kind, slope.view());
            for (size_t i = 0; i < points.size(); ++i) {
                const double p = x.values[i], h = 1e-5, value = exact(kind, p),
                             gradient = (exact(kind, p + h) - exact(kind, p - h)) / (2 * h);
                CHECK(std::fabs(y.values[i] - value) <= tolerance(*ops, 1e-6) * std::fabs(value) + 5e-7);
                CHECK(std::fabs(slope.values[i] - gradient) <= tolerance(*ops, 0) * std::fabs(gradient) + 2e-6);
            }
        }
}

TEST_CASE(
    "elementwise ops equal the CPU's, rounded once, on whole matrices, on columns of wider ones and beside a row") {
    std::mt19937 random(15);
    const auto cpu = make_cpu_ops({1, "portable"});
    for (const auto& ops : backends())
        for (const int64_t cols : {int64_t{300}, int64_t{37}}) {
            CAPTURE(ops->name());
            CAPTURE(cols);
            Matrix wide = kept(*ops, {6, 400, random}), other = kept(*ops, {6, cols, random}), row(1, cols, random),
                   y(6, cols), expected = y, sum(1, cols, 0.5f), expected_sum = sum;
            const View x{wide.values.data() + 48, 6, cols, 400},
                within{wide.values.data() + 51, 6, cols, 400}; // starting on 16 bytes, and not
            const auto same = [&](auto&& op) {
                for (const View& part : {x, within}) {
                    op(*ops, part, y.view()), op(*cpu, part, expected.view());
                    CHECK(relative_error(y.values, expected.values) < tolerance(*ops, 2e-6));
                }
            };
            same([&](Ops& o, const View& v, const View& to) { o.gated_residual(v, row.view(), other.view(), to); });
            same([&](Ops& o, const View& v, const View& to) { o.mul_row(v, row.view(), to); });
            same([&](Ops& o, const View& v, const View& to) { o.add(v, other.view(), to); });
            same([&](Ops& o, const View& v, const View& to) { o.mul(other.view(), v, to); });
            same([&](Ops& o, const View& v, const View& to) { o.copy(v, to); });
            same([&](Ops& o, const View& v, const View& to) {
                o.activation_bwd(v, other.view(), Activation::gelu_tanh, to);
            });
            same([&](Ops& o, const View&, const View& to) { o.fill(to, 1.5f); });
            ops->column_dot(x, other.view(), sum.view()), cpu->column_dot(x, other.view(), expected_sum.view());
            ops->column_dot(within, View{}, sum.view()), cpu->column_dot(within, View{}, expected_sum.view());
            CHECK(relative_error(sum.values, expected_sum.values) < 2e-6); // fp32 in either case
            Matrix copied = wide;
            ops->copy(other.view(), View{copied.values.data() + 51, 6, cols, 400}); // what lies beside it stays
            for (int64_t i = 0; i < 6; ++i)
                for (int64_t j = 0; j < 400; ++j)
                    CHECK(copied.at(i, j) == (j >= 51 && j < 51 + cols ? other.at(i, j - 51) : wide.at(i, j)));
        }
}

TEST_CASE("a backend says what it wants activations to be, and there are two such types") {
    CHECK(make_cpu_ops({1, "portable"})->activations() == DType::f32);
    CHECK(make_emulated_cuda_ops()->activations() == DType::f32);
    CHECK(make_emulated_cuda_ops({false, DType::bf16})->activations() == DType::bf16);
    CHECK_THROWS_AS(make_emulated_cuda_ops({false, DType::f16}), Error);
}

TEST_CASE("activations of two types in one op are refused, and bf16 where only fp32 is taken") {
    std::mt19937 random(16);
    const auto ops = host_facing(make_emulated_cuda_ops());
    Matrix x(4, 12, random), y(4, 12), row(1, 12, random), stats(4, 2);
    HalfMatrix half(x), half_row(row);
    const auto refused = [](auto&& op) { CHECK(refusal(op).find("BF16") != std::string::npos); };
    refused([&] { ops->copy(half.view(), y.view()); });
    refused([&] { ops->add(x.view(), half.view(), y.view()); });
    refused([&] { ops->mul_row(half.view(), half_row.view(), half.view()); });
    refused([&] {
        ops->gated_norm_modulate(
            half.view(), View{}, View{}, row.view(), row.view(), 1e-6f, View{}, y.view(), stats.view());
    });
    refused([&] { ops->norm_modulate_bwd(x.view(), half.view(), row.view(), stats.view(), y.view()); });
    refused([&] { ops->qk_norm_rope(half.view(), row.values.data(), x.view(), x.view(), 1, 1e-6f, y.view()); });
    refused([&] { ops->column_dot(half.view(), View{}, half_row.view()); });
    refused([&] { ops->layer_norm(half.view(), nullptr, nullptr, 1e-6f, half.view()); });
    refused([&] { ops->flow_noise(half.view(), half.view(), row.view(), half.view()); });
    refused([&] { ops->l2_norm(half.view()); });
}

TEST_CASE("plain AdamW follows the textbook over twenty steps") {
    std::mt19937 random(14);
    for (const auto& ops : backends()) {
        Matrix p(1, 100, random), m(1, 100), v(1, 100);
        Vec ep = doubles(p), em(100), ev(100);
        AdamArgs a;
        a.lr = 1e-2;
        a.weight_decay = 1e-2;
        for (int step = 1; step <= 20; ++step) {
            Matrix g(1, 100, random);
            a.step = step;
            ops->adamw(a, p.view(), g.view(), m.view(), v.view());
            for (size_t i = 0; i < 100; ++i) {
                em[i] = 0.9 * em[i] + 0.1 * g.values[i];
                ev[i] = 0.999 * ev[i] + 0.001 * g.values[i] * g.values[i];
                ep[i] -= 1e-2 * 1e-2 * ep[i];
                ep[i] -=
                    1e-2 * em[i] / (1 - std::pow(0.9, step)) / (std::sqrt(ev[i] / (1 - std::pow(0.999, step))) + 1e-8);
            }
        }
        CHECK(relative_error(p.values, ep) < 1e-5);
    }
}

TEST_CASE("8-bit AdamW equals the CPU's over ten steps, codes and all, on several blocks and a piece of one") {
    const auto cpu = make_cpu_ops({1, "portable"});
    for (const auto& ops : backends()) {
        CAPTURE(ops->name());
        std::mt19937 random(17);
        const int64_t n = 4096 + 100, blocks = (n + 255) / 256;
        struct State {
            Matrix p, m_absmax, v_absmax;
            std::vector<uint8_t> m, v;
        };
        const Matrix start(1, n, random);
        State a{start, {1, blocks}, {1, blocks}, std::vector<uint8_t>(static_cast<size_t>(n)),
            std::vector<uint8_t>(static_cast<size_t>(n))},
            b = a;
        AdamArgs args;
        args.lr = 1e-2, args.weight_decay = 1e-2, args.grad_scale = 0.8f;
        const auto step = [&](Ops& o, State& s, Matrix& g) {
            const auto codes = [&](std::vector<uint8_t>& c) { return View{c.data(), n, 1, 1, DType::u8}; };
            o.adamw8bit(args, s.p.view(), g.view(), codes(s.m), codes(s.v), s.m_absmax.view(), s.v_absmax.view());
        };
        for (args.step = 1; args.step <= 10; ++args.step) {
            Matrix g(1, n, random);
            step(*ops, a, g), step(*cpu, b, g);
        }
        const auto other = [](const std::vector<uint8_t>& got, const std::vector<uint8_t>& expected) {
            int64_t count = 0, far = 0;
            for (size_t i = 0; i < got.size(); ++i) {
                count += got[i] != expected[i];
                far += std::abs(got[i] - expected[i]) > 1;
            }
            return std::pair(count, far);
        };
        // A value between two codes may round either way where a card contracts what the CPU does not.
        CHECK(other(a.m, b.m).first <= n / 1000);
        CHECK(other(a.v, b.v).first <= n / 1000);
        CHECK(other(a.m, b.m).second == 0);
        CHECK(other(a.v, b.v).second == 0);
        CHECK(relative_error(a.p.values, b.p.values) < 1e-4);
        CHECK(relative_error(a.m_absmax.values, b.m_absmax.values) < 1e-5);
        CHECK(relative_error(a.v_absmax.values, b.v_absmax.values) < 1e-5);
    }
}
