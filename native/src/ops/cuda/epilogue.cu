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

// The activation takes what `pre` keeps, rounded, whether it is kept or not: a plan that works the activation out again
// later gets the same bits.
template <class T, int W>
__global__ void linear_kernel(Rows<float> sum, const float* bias, Rows<float> xa, Rows<float> b, float scale,
    Activation kind, Rows<T> y, Rows<T> pre) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols / W, kThreads);
    const int64_t col = W * at.col;
    if (col >= y.cols) return;
    Pack<W> v = load<W>(sum.row(at.row) + col);
    if (xa)
        for (int k = 0; k < W; ++k) {
            float low = 0;
            for (int64_t r = 0; r < xa.cols; ++r) low += xa.row(at.row)[r] * b.row(col + k)[r];
            v[k] += scale * low;
        }
    if (bias) {
        const Pack<W> more = load<W>(bias + col);
        for (int k = 0; k < W; ++k) v[k] += more[k];
    }
    if (pre) store(pre.row(at.row) + col, v);
    for (int k = 0; k < W; ++k) v[k] = activate(kind, as_kept<T>(v[k]));
    store(y.row(at.row) + col, v);
}

template <class T, int W>
__global__ void dx_kernel(Rows<float> sum, Rows<float> dxa, Rows<float> a, bool accumulate, Rows<T> dx) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), dx.cols / W, kThreads);
    const int64_t col = W * at.col;
    if (col >= dx.cols) return;
    Pack<W> low{};
    for (int64_t r = 0; r < dxa.cols; ++r) {
        const Pack<W> row = load<W>(a.row(r) + col);
        for (int k = 0; k < W; ++k) low[k] += dxa.row(at.row)[r] * row[k];
    }
    const Pack<W> v = load<W>(sum.row(at.row) + col), before = accumulate ? load<W>(dx.row(at.row) + col) : Pack<W>{};
    for (int k = 0; k < W; ++k) low[k] += v[k] + before[k];
    store(dx.row(at.row) + col, low);
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

void finish_linear(cudaStream_t stream, const View& sum, const float* bias, const View& xa, const View& b, float scale,
    Activation kind, const View& y, const View& pre) {
    const View biases{const_cast<float*>(bias), 1, y.cols, y.cols};
    with_type_and_width(one_type("linear", {y, pre}), wide({sum, y, pre}) && wide({biases}), [&]<class T, int W>() {
        launch(stream, maps::element_blocks(y.rows, y.cols / W, kThreads), kThreads, 0, linear_kernel<T, W>,
            Rows<float>(sum), bias, Rows<float>(xa), Rows<float>(b), scale, kind, Rows<T>(y), Rows<T>(pre));
    });
}

void finish_dx(cudaStream_t stream, const View& sum, const View& dxa, const View& a, bool accumulate, const View& dx) {
    with_type_and_width(one_type("linear_dx", {dx}), wide({sum, a, dx}), [&]<class T, int W>() {
        launch(stream, maps::element_blocks(dx.rows, dx.cols / W, kThreads), kThreads, 0, dx_kernel<T, W>,
            Rows<float>(sum), Rows<float>(dxa), Rows<float>(a), accumulate, Rows<T>(dx));
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
