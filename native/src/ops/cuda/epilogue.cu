// What follows a matrix product, in one pass over its result: bias, low-rank branch, activation; a convolution's bias and residual.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/math/activations.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic ------------------------------------------------------------------------------------------------------------------------

__global__ void linear_kernel(View y, const float* bias, View xa, View b, float scale, Activation kind, View pre) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols, kThreads);
    if (at.col >= y.cols) return;
    float v = y.row(at.row)[at.col];
    if (xa) {
        float sum = 0;
        for (int64_t r = 0; r < xa.cols; ++r) sum += xa.row(at.row)[r] * b.row(at.col)[r];
        v += scale * sum;
    }
    if (bias) v += bias[at.col];
    if (pre) pre.row(at.row)[at.col] = v;
    y.row(at.row)[at.col] = activate(kind, v);
}

__global__ void low_rank_kernel(View dxa, View a, View dx) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), dx.cols, kThreads);
    if (at.col >= dx.cols) return;
    float sum = 0;
    for (int64_t r = 0; r < dxa.cols; ++r) sum += dxa.row(at.row)[r] * a.row(r)[at.col];
    dx.row(at.row)[at.col] += sum;
}

__global__ void conv_kernel(View y, const float* bias, View residual) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols, kThreads);
    if (at.col >= y.cols) return;
    float v = y.row(at.row)[at.col];
    if (bias) v += bias[at.col];
    if (residual) v += residual.row(at.row)[at.col];
    y.row(at.row)[at.col] = v;
}

} // namespace

// -- launches --------------------------------------------------------------------------------------------------------------------------

void finish_linear(cudaStream_t stream, const View& y, const float* bias, const View& xa, const View& b, float scale, Activation kind, const View& pre) {
    if (!bias && !xa && !pre && kind == Activation::none) return;
    launch(stream, maps::element_blocks(y.rows, y.cols, kThreads), kThreads, 0, linear_kernel, y, bias, xa, b, scale, kind, pre);
}

void add_low_rank(cudaStream_t stream, const View& dxa, const View& a, const View& dx) {
    launch(stream, maps::element_blocks(dx.rows, dx.cols, kThreads), kThreads, 0, low_rank_kernel, dxa, a, dx);
}

void finish_conv(cudaStream_t stream, const View& y, const float* bias, const View& residual) {
    if (bias || residual) launch(stream, maps::element_blocks(y.rows, y.cols, kThreads), kThreads, 0, conv_kernel, y, bias, residual);
}

} // namespace atelier::ATELIER_CUDA_NS
