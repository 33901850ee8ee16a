// Norms, modulation, rotary embedding, activations, loss and optimizers against double precision; gradients against
// central differences.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include <doctest/doctest.h>

#include "ops/backends.h"
#include "ops/math/activations.h"
#include "support.h"
#include <functional>

using namespace atelier;
using namespace atelier::test;

namespace {

using Vec = std::vector<double>;

Vec doubles(const Matrix& m) { return Vec(m.values.begin(), m.values.end()); }

// d (sum f(x) · dy) / dx by central differences in double precision
Vec numeric_gradient(Vec x, const Vec& dy, const std::function<Vec(const Vec&)>& f) {
    Vec g(x.size());
    for (size_t i = 0; i < x.size(); ++i) {
        const double at = x[i], h = 1e-5;
        double slope = 0;
        for (double side : {1.0, -1.0}) {
            x[i] = at + side * h;
            const Vec y = f(x);
            for (size_t j = 0; j < y.size(); ++j) slope += side * y[j] * dy[j];
        }
        x[i] = at;
        g[i] = slope / (2 * h);
    }
    return g;
}

Vec modulated(const Vec& x, int64_t cols, const Matrix& shift, const Matrix& scale, double eps) {
    Vec y(x.size());
    for (size_t row = 0; row < x.size(); row += static_cast<size_t>(cols)) {
        double mean = 0, var = 0;
        for (int64_t j = 0; j < cols; ++j) mean += x[row + static_cast<size_t>(j)] / static_cast<double>(cols);
        for (int64_t j = 0; j < cols; ++j)
            var += std::pow(x[row + static_cast<size_t>(j)] - mean, 2) / static_cast<double>(cols);
        for (size_t j = 0; j < static_cast<size_t>(cols); ++j)
            y[row + j] = (x[row + j] - mean) / std::sqrt(var + eps) * (1.0 + scale.values[j]) + shift.values[j];
    }
    return y;
}

Vec rope(const Vec& x, int64_t cols, int64_t heads, const Matrix& w, const Matrix& cos, const Matrix& sin, double eps) {
    const size_t dim = static_cast<size_t>(cols / heads), n = static_cast<size_t>(cols);
    Vec y(x.size());
    for (size_t row = 0; row < x.size() / n; ++row)
        for (size_t h = 0; h < static_cast<size_t>(heads); ++h) {
            const double* p = x.data() + row * n + h * dim;
            double square = 0;
            for (size_t d = 0; d < dim; ++d) square += p[d] * p[d] / static_cast<double>(dim);
            const double r = 1 / std::sqrt(square + eps);
            for (size_t d = 0; d < dim; d += 2) {
                const double a = p[d] * r * w.values[d], b = p[d + 1] * r * w.values[d + 1];
                const float *c = cos.values.data() + row * dim + d, *s = sin.values.data() + row * dim + d;
                y[row * n + h * dim + d] = a * c[0] - b * s[0];
                y[row * n + h * dim + d + 1] = b * c[1] + a * s[1];
            }
        }
    return y;
}

} // namespace

TEST_CASE("gated norm and modulation, and their gradients") {
    std::mt19937 random(11);
    for (const auto& ops : backends())
        for (const int64_t cols : {int64_t{9}, int64_t{64}, int64_t{83}}) {
            CAPTURE(ops->name());
            CAPTURE(cols);
            Matrix x = kept(*ops, {4, cols, random}), branch = kept(*ops, {4, cols, random}),
                   dy = kept(*ops, {4, cols, random}), gate(1, cols, random), shift(1, cols, random),
                   scale(1, cols, random), r(4, cols), y(4, cols), stats(4, 2), dr(4, cols, 0.5f);
            ops->gated_norm_modulate(x.view(), gate.view(), branch.view(), shift.view(), scale.view(), 1e-6f, r.view(),
                y.view(), stats.view());
            Vec sum(r.values.size());
            for (size_t i = 0; i < sum.size(); ++i)
                sum[i] =
                    x.values[i] + static_cast<double>(gate.values[i % static_cast<size_t>(cols)]) * branch.values[i];
            CHECK(relative_error(r.values, sum) < tolerance(*ops, 1e-6));
            CHECK(relative_error(y.values, modulated(doubles(r), cols, shift, scale, 1e-6)) <
                  tolerance(*ops, 2e-6)); // of r as it was kept
            ops->norm_modulate_bwd(dy.view(), r.view(), scale.view(), stats.view(), dr.view());
            Vec expected = numeric_gradient(
                doubles(r), doubles(dy), [&](const Vec& v) { return modulated(v, cols, shift, scale, 1e-6); });
            for (double& v : expected) v += 0.5;
            CHECK(relative_error(dr.values, expected) < tolerance(*ops, 1e-5));
        }
}

TEST_CASE("query and key norm with rotary embedding, and its gradient") {
    std::mt19937 random(12);
    for (const auto& ops : backends()) {
        CAPTURE(ops->name());
        for (const int64_t dim : {int64_t{10}, int64_t{12}}) { // one pair at a time, and two
            CAPTURE(dim);
            const int64_t cols = 3 * dim;
            Matrix x = kept(*ops, {5, cols, random}), dy = kept(*ops, {5, cols, random}), w(1, dim, random),
                   cos(5, dim, random), sin(5, dim, random), y(5, cols), dx(5, cols);
            ops->qk_norm_rope(x.view(), w.values.data(), cos.view(), sin.view(), 3, 1e-6f, y.view());
            const auto f = [&](const Vec& v) { return rope(v, cols, 3, w, cos, sin, 1e-6); };
            CHECK(relative_error(y.values, f(doubles(x))) < tolerance(*ops, 2e-6));
            ops->qk_norm_rope_bwd(dy.view(), x.view(), w.values.data(), cos.view(), sin.view(), 3, 1e-6f, dx.view());
            CHECK(relative_error(dx.values, numeric_gradient(doubles(x), doubles(dy), f)) < tolerance(*ops, 1e-5));
        }
    }
}

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

TEST_CASE("flow matching: noisy latents, loss and its gradient") {
    std::mt19937 random(13);
    for (const auto& ops : backends()) {
        Matrix latents(6, 10, random), noise(6, 10, random), pred(6, 10, random), noisy(6, 10), sigma(1, 1, 0.3f),
            weight(1, 1, 1.7f), loss(1, 1), dpred(6, 10);
        ops->flow_noise(latents.view(), noise.view(), sigma.view(), noisy.view());
        ops->flow_loss(pred.view(), latents.view(), noise.view(), weight.view(), 0.25f, loss.view(), dpred.view());
        double expected = 0;
        Vec slope, mixed;
        for (size_t i = 0; i < 60; ++i) {
            const double error = pred.values[i] - (static_cast<double>(noise.values[i]) - latents.values[i]);
            expected += static_cast<double>(1.7f) * error * error / 60;
            slope.push_back(0.25 * 2 * static_cast<double>(1.7f) * error / 60);
            mixed.push_back(
                (1 - static_cast<double>(0.3f)) * latents.values[i] + static_cast<double>(0.3f) * noise.values[i]);
        }
        CHECK(loss.values[0] == doctest::Approx(expected).epsilon(1e-6));
        CHECK(relative_error(dpred.values, slope) < 1e-6);
        CHECK(relative_error(noisy.values, mixed) < 1e-6);
        CHECK(ops->l2_norm(View{dpred.values.data(), 6, 10, 10}) > 0);
    }
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
