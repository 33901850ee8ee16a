// The low-rank kernels, compiled for the CPU (emulator/), against the CPU backend or sums in double: ranks that are
// read four at once, in whole groups and not, more than a warp's lanes share, and odd ones; rows and columns that end
// within a thread's.
#include <doctest/doctest.h>

#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/kernels.h"
#include "ops/math/activations.h"
#include "support.h"

using namespace atelier;
using namespace atelier::test;
namespace gpu = atelier::cuda_emulated;

namespace {

constexpr double kExact = 2e-6;
constexpr int64_t kRanks[] = {1, 4, 8, 11, 12, 16, 132};

// sum + scale · left · right, or right turned.
Matrix low_rank(const Matrix& sum, Matrix left, Matrix right, bool turned, float scale) {
    Matrix all = sum;
    for (int64_t i = 0; i < sum.rows; ++i)
        for (int64_t j = 0; j < sum.cols; ++j) {
            double low = 0;
            for (int64_t r = 0; r < left.cols; ++r)
                low += static_cast<double>(left.at(i, r)) * (turned ? right.at(j, r) : right.at(r, j));
            all.at(i, j) += scale * static_cast<float>(low);
        }
    return all;
}

} // namespace

TEST_CASE("low-rank products and their gradients, in one piece and in chunks of rows") {
    std::mt19937 random(6);
    const auto ops = make_cpu_ops({1, "portable"});
    for (const int64_t rank : kRanks)
        for (const int64_t K : {int64_t{300}, int64_t{45}})
            for (const int64_t room : {int64_t{0}, int64_t{1} << 18}) {
                CAPTURE(rank);
                CAPTURE(K);
                const int64_t M = 150, N = 70;
                Matrix x(M, K, random), a(rank, K, random), b(N, rank, random), dy(M, N, random), xa(M, rank),
                    xa2 = xa, dxa = xa, dxa2 = xa, da(rank, K, 0.5f), db(N, rank, 0.25f), da2 = da, db2 = db;
                std::vector<float> partials(static_cast<size_t>(room));
                ops->lora_down(x.view(), a.view(), xa.view());
                gpu::rows_times_rows(nullptr, x.view(), a.view(), 1, xa2.view());
                CHECK(relative_error(xa2.values, xa.values) < kExact);
                LoraGradArgs g{x.view(), xa.view(), dy.view(), b.view(), 0.7f, dxa.view(), da.view(), db.view()};
                ops->lora_grad(g);
                gpu::rows_times_columns(nullptr, dy.view(), b.view(), 0.7f, dxa2.view());
                gpu::sum_outer(nullptr, dxa2.view(), x.view(), 1, false, da2.view(), partials.data(), room);
                gpu::sum_outer(nullptr, xa.view(), dy.view(), 0.7f, true, db2.view(), partials.data(), room);
                CHECK(relative_error(dxa2.values, dxa.values) < kExact);
                CHECK(relative_error(da2.values, da.values) < 2 * kExact);
                CHECK(relative_error(db2.values, db.values) < 2 * kExact);
            }
}

TEST_CASE("low-rank branches, biases and activations join a product's sums, row for row and nowhere else") {
    std::mt19937 random(10);
    for (const int64_t rank : kRanks)
        for (const int64_t rows : {int64_t{1}, int64_t{8}, int64_t{21}}) // less than a thread's, as many, and more
            for (const int64_t cols : {int64_t{1028}, int64_t{19}}) { // four at a time in two blocks, and one by one
                CAPTURE(rank);
                CAPTURE(rows);
                CAPTURE(cols);
                Matrix sum(rows, cols, random), xa(rows, rank, random), b(cols, rank, random), a(rank, cols, random),
                    bias(1, cols, random), y(rows + 1, cols, 7.0f), pre = y, expected = y, dx = y;
                const auto above = [&](Matrix& m) { return View{m.values.data(), rows, cols, cols}; };
                const Matrix branch = low_rank(sum, xa, b, true, 0.7f);
                gpu::finish_linear(nullptr, sum.view(), bias.values.data(), xa.view(), b.view(), 0.7f,
                    Activation::gelu_tanh, above(y), above(pre));
                for (int64_t i = 0; i < rows * cols; ++i)
                    expected.values[static_cast<size_t>(i)] =
                        branch.values[static_cast<size_t>(i)] + bias.values[static_cast<size_t>(i % cols)];
                CHECK(relative_error(pre.values, expected.values) < kExact); // the row below is still sevens
                for (int64_t i = 0; i < rows * cols; ++i) {
                    float& v = expected.values[static_cast<size_t>(i)];
                    v = activate(Activation::gelu_tanh, v);
                }
                CHECK(relative_error(y.values, expected.values) < kExact);
                const Matrix slope = low_rank(sum, xa, a, false, 1);
                for (int64_t i = 0; i < rows * cols; ++i)
                    expected.values[static_cast<size_t>(i)] = slope.values[static_cast<size_t>(i)] + 7;
                gpu::finish_dx(nullptr, sum.view(), xa.view(), a.view(), true, above(dx));
                CHECK(relative_error(dx.values, expected.values) < kExact);
                gpu::finish_dx(nullptr, sum.view(), xa.view(), a.view(), false, above(dx));
                for (int64_t i = 0; i < rows * cols; ++i) expected.values[static_cast<size_t>(i)] -= 7;
                CHECK(relative_error(dx.values, expected.values) < kExact);
                // In place and in bf16, as sums that stand where the result goes and beside it.
                Matrix own = sum;
                gpu::finish_linear(
                    nullptr, own.view(), nullptr, xa.view(), b.view(), 0.7f, Activation::none, own.view(), View{});
                CHECK(relative_error(own.values, branch.values) < kExact);
                HalfMatrix half(sum);
                gpu::finish_linear(
                    nullptr, sum.view(), nullptr, xa.view(), b.view(), 0.7f, Activation::none, half.view(), View{});
                CHECK(half.bits == HalfMatrix(own).bits);
            }
}
