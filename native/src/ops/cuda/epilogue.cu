// What follows a matrix product, in one pass over its result: bias, low-rank branch, activation; a convolution's bias
// and residual.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"
#include "ops/math/activations.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

// What low-rank branches are added to: rows [first, first + kRows) of neighbouring columns, as many as a thread takes.
// Those below the matrix are counted like its last and not written.
constexpr int kRows = maps::kFinishRows, kQuad = 4; // kQuad: ranks that are read at once

struct Strip {
    int64_t first, last;
    ATELIER_HD int64_t row(int i) const { return first + i < last ? first + i : last; }
    ATELIER_HD bool has(int i) const { return first + i <= last; }
};

__device__ inline Strip strip_of(const maps::Cell& at, int64_t rows) { return {at.row * kRows, rows - 1}; }

// sum[i] += left.row(i) · right, ranks one after another. `quads`: how many fours of ranks can be read at once;
// `fetch`: right's values of one rank, or of four, for the thread's columns, which so are read once for all its rows.
template <int W, class Four, class One>
__device__ inline void add_low_rank(
    Pack<W> (&sum)[kRows], const Rows<float>& left, const Strip& strip, int64_t quads, Four&& four, One&& one) {
    for (int64_t q = 0; q < quads; ++q) {
        float right[kQuad][W];
        four(kQuad * q, right);
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
            const Pack<kQuad> factor = load<kQuad>(left.row(strip.row(i)) + kQuad * q);
            for (int r = 0; r < kQuad; ++r)
                for (int k = 0; k < W; ++k) sum[i][k] += factor[r] * right[r][k];
        }
    }
    for (int64_t r = kQuad * quads; r < left.cols; ++r) {
        const Pack<W> right = one(r);
#pragma unroll
        for (int i = 0; i < kRows; ++i)
            for (int k = 0; k < W; ++k) sum[i][k] += left.row(strip.row(i))[r] * right[k];
    }
}

// The activation takes what `pre` keeps, rounded, whether it is kept or not: a plan that works the activation out again
// later gets the same bits.
template <class T, int W, Activation kKind>
__global__ void linear_kernel(Rows<float> sum, const float* bias, Rows<float> xa, Rows<float> b, int64_t quads,
    float scale, Rows<T> y, Rows<T> pre) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols / W, kThreads);
    const int64_t col = W * at.col;
    if (col >= y.cols) return;
    const Strip strip = strip_of(at, y.rows);
    Pack<W> low[kRows] = {}, v[kRows];
    if (xa)
        add_low_rank(
            low, xa, strip, quads,
            [&](int64_t first, float (&right)[kQuad][W]) {
                for (int k = 0; k < W; ++k) {
                    const Pack<kQuad> ranks = load<kQuad>(b.row(col + k) + first);
                    for (int r = 0; r < kQuad; ++r) right[r][k] = ranks[r];
                }
            },
            [&](int64_t r) {
                Pack<W> right;
                for (int k = 0; k < W; ++k) right[k] = b.row(col + k)[r];
                return right;
            });
    const Pack<W> more = bias ? load<W>(bias + col) : Pack<W>{};
#pragma unroll
    for (int i = 0; i < kRows; ++i) v[i] = load<W>(sum.row(strip.row(i)) + col); // all before the first is written
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
        if (!strip.has(i)) break;
        for (int k = 0; k < W; ++k) {
            if (xa) v[i][k] += scale * low[i][k];
            if (bias) v[i][k] += more[k];
        }
        if (pre) store(pre.row(strip.row(i)) + col, v[i]);
        for (int k = 0; k < W; ++k) v[i][k] = activate(kKind, as_kept<T>(v[i][k]));
        store(y.row(strip.row(i)) + col, v[i]);
    }
}

template <class T, int W>
__global__ void dx_kernel(Rows<float> sum, Rows<float> dxa, Rows<float> a, int64_t quads, bool accumulate, Rows<T> dx) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), dx.cols / W, kThreads);
    const int64_t col = W * at.col;
    if (col >= dx.cols) return;
    const Strip strip = strip_of(at, dx.rows);
    const auto row_of_a = [&](int64_t r) { return load<W>(a.row(r) + col); };
    Pack<W> low[kRows] = {}, v[kRows];
    add_low_rank(
        low, dxa, strip, quads,
        [&](int64_t first, float (&right)[kQuad][W]) {
            for (int r = 0; r < kQuad; ++r) {
                const Pack<W> row = row_of_a(first + r);
                for (int k = 0; k < W; ++k) right[r][k] = row[k];
            }
        },
        row_of_a);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
        v[i] = load<W>(sum.row(strip.row(i)) + col);
        const Pack<W> before = accumulate ? load<W>(dx.row(strip.row(i)) + col) : Pack<W>{};
        for (int k = 0; k < W; ++k) low[i][k] += v[i][k] + before[k];
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i)
        if (strip.has(i)) store(dx.row(strip.row(i)) + col, low[i]);
}

template <class T, int W>
__global__ void conv_kernel(Rows<float> sum, const float* bias, Rows<T> residual, Rows<T> y) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols / W, kThreads);
    const int64_t col = W * at.col;
    if (col >= y.cols) return;
    Pack<W> v = load<W>(sum.row(at.row) + col);
    const Pack<W> biases = bias ? load<W>(bias + col) : Pack<W>{},
                  more = residual ? load<W>(residual.row(at.row) + col) : Pack<W>{};
    for (int k = 0; k < W; ++k) v[k] = v[k] + biases[k] + more[k];
    store(y.row(at.row) + col, v);
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

namespace {

int64_t quads_of(const View& left, const View& right) { return wide({left, right}) ? left.cols / kQuad : 0; }

// f.operator()<kind>(): branches on it would stand in the kernel once for each element
template <class F>
void with_activation(Activation kind, F&& f) {
    switch (kind) {
        case Activation::none: return f.template operator()<Activation::none>();
        case Activation::silu: return f.template operator()<Activation::silu>();
        case Activation::gelu_tanh: return f.template operator()<Activation::gelu_tanh>();
        case Activation::quick_gelu: return f.template operator()<Activation::quick_gelu>();
        case Activation::gelu_erf: return f.template operator()<Activation::gelu_erf>();
    }
}

} // namespace

void finish_linear(cudaStream_t stream, const View& sum, const float* bias, const View& xa, const View& b, float scale,
    Activation kind, const View& y, const View& pre) {
    const View biases{const_cast<float*>(bias), 1, y.cols, y.cols};
    with_type_and_width(one_type("linear", {y, pre}), wide({sum, y, pre}) && wide({biases}), [&]<class T, int W>() {
        with_activation(kind, [&]<Activation kKind>() {
            launch(stream, maps::element_blocks(maps::pieces(y.rows, kRows), y.cols / W, kThreads), kThreads, 0,
                linear_kernel<T, W, kKind>, Rows<float>(sum), bias, Rows<float>(xa), Rows<float>(b), quads_of(xa, b),
                scale, Rows<T>(y), Rows<T>(pre));
        });
    });
}

void finish_dx(cudaStream_t stream, const View& sum, const View& dxa, const View& a, bool accumulate, const View& dx) {
    with_type_and_width(one_type("linear_dx", {dx}), wide({sum, a, dx}), [&]<class T, int W>() {
        launch(stream, maps::element_blocks(maps::pieces(dx.rows, kRows), dx.cols / W, kThreads), kThreads, 0,
            dx_kernel<T, W>, Rows<float>(sum), Rows<float>(dxa), Rows<float>(a), quads_of(dxa, dxa), accumulate,
            Rows<T>(dx));
    });
}

void finish_conv(cudaStream_t stream, const View& sum, const float* bias, const View& residual, const View& y) {
    const View biases{const_cast<float*>(bias), 1, y.cols, y.cols};
    with_type_and_width(
        one_type("conv2d", {residual, y}), wide({sum, residual, y}) && wide({biases}), [&]<class T, int W>() {
            launch(stream, maps::element_blocks(y.rows, y.cols / W, kThreads), kThreads, 0, conv_kernel<T, W>,
                Rows<float>(sum), bias, Rows<T>(residual), Rows<T>(y));
        });
}

} // namespace atelier::ATELIER_CUDA_NS
