// Norms, modulation and rotary embedding: a block (norms) or a warp (heads) a row; sums in a fixed order, formulas from ops/math/norms.h.
#include "ops/cuda/device.h"
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/math/activations.h"
#include "ops/math/norms.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic ------------------------------------------------------------------------------------------------------------------------

struct Stats {
    float mean, inverse;
};

__device__ inline float rms_inverse(const float* x, int64_t cols, float eps, float* room) {
    float sum = 0;
    for (int64_t j = threadIdx.x; j < cols; j += kThreads) sum += x[j] * x[j];
    return 1.0f / sqrtf(block_sum(sum, room) / static_cast<float>(cols) + eps);
}

__device__ inline Stats layer_stats(const float* x, int64_t cols, float eps, float* room) { // x: as this block's threads wrote or found it
    float sum = 0, square = 0;
    for (int64_t j = threadIdx.x; j < cols; j += kThreads) sum += x[j];
    const float mean = block_sum(sum, room) / static_cast<float>(cols);
    for (int64_t j = threadIdx.x; j < cols; j += kThreads) square += (x[j] - mean) * (x[j] - mean);
    return {mean, 1.0f / sqrtf(block_sum(square, room) / static_cast<float>(cols) + eps)};
}

__global__ void gated_norm_modulate_kernel(View x, View gate, View branch, View shift, View scale, float eps, View r, View y, View stats) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t row = blockIdx.x, cols = y.cols;
    const float* from = x.row(row);
    if (r && (gate || r.row(row) != from)) { // every thread reads below only what it wrote here
        float* to = r.row(row);
        for (int64_t j = threadIdx.x; j < cols; j += kThreads) to[j] = gate ? gated_sum(from[j], gate.f32()[j], branch.row(row)[j]) : from[j];
        from = to;
    }
    const Stats s = layer_stats(from, cols, eps, room);
    if (stats && threadIdx.x == 0) {
        stats.row(row)[0] = s.mean;
        stats.row(row)[1] = s.inverse;
    }
    for (int64_t j = threadIdx.x; j < cols; j += kThreads)
        y.row(row)[j] = modulated(normalised(from[j], s.mean, s.inverse), shift.f32()[j], scale.f32()[j]);
}

__global__ void norm_modulate_bwd_kernel(View dy, View r, View scale, View stats, View dr) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t row = blockIdx.x, cols = dy.cols;
    const float mean = stats.row(row)[0], inverse = stats.row(row)[1];
    float sum = 0, product = 0;
    for (int64_t j = threadIdx.x; j < cols; j += kThreads) {
        const float slope = modulated_slope(dy.row(row)[j], scale.f32()[j]);
        sum += slope;
        product += slope * normalised(r.row(row)[j], mean, inverse);
    }
    const float mean_slope = block_sum(sum, room) / static_cast<float>(cols), mean_product = block_sum(product, room) / static_cast<float>(cols);
    for (int64_t j = threadIdx.x; j < cols; j += kThreads)
        dr.row(row)[j] += norm_slope(modulated_slope(dy.row(row)[j], scale.f32()[j]), normalised(r.row(row)[j], mean, inverse), inverse, mean_slope, mean_product);
}

__global__ void affine_norm_kernel(View x, const float* weight, const float* bias, float eps, bool centred, View y) {
    float* room = reinterpret_cast<float*>(shared_bytes());
    const int64_t row = blockIdx.x;
    const float* from = x.row(row);
    const Stats s = centred ? layer_stats(from, x.cols, eps, room) : Stats{0, rms_inverse(from, x.cols, eps, room)};
    for (int64_t j = threadIdx.x; j < x.cols; j += kThreads) {
        float v = normalised(from[j], s.mean, s.inverse);
        if (weight) v *= weight[j];
        if (bias) v += bias[j];
        y.row(row)[j] = v;
    }
}

__device__ inline float head_inverse(const float* x, int64_t dim, float eps, int lane) {
    float sum = 0;
    for (int64_t i = lane; i < dim; i += kWarp) sum += x[i] * x[i];
    return 1.0f / sqrtf(warp_sum(sum) / static_cast<float>(dim) + eps);
}

__global__ void qk_norm_rope_kernel(View x, const float* weight, View cos, View sin, int64_t heads, float eps, View y) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads), dim = x.cols / heads;
    if (task >= x.rows * heads) return;
    const int64_t row = task / heads, column = task % heads * dim;
    const float *from = x.row(row) + column, *c = cos.row(row), *s = sin.row(row);
    float* to = y.row(row) + column;
    const float inverse = head_inverse(from, dim, eps, lane);
    for (int64_t i = 2 * lane; i < dim; i += 2 * kWarp) {
        const Pair turned = rotated({from[i] * inverse * weight[i], from[i + 1] * inverse * weight[i + 1]}, {c[i], c[i + 1]}, {s[i], s[i + 1]});
        to[i] = turned.first;
        to[i + 1] = turned.second;
    }
}

__global__ void qk_norm_rope_bwd_kernel(View dy, View x, const float* weight, View cos, View sin, int64_t heads, float eps, View dx) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads), dim = x.cols / heads;
    if (task >= x.rows * heads) return;
    const int64_t row = task / heads, column = task % heads * dim;
    const float *from = x.row(row) + column, *d = dy.row(row) + column, *c = cos.row(row), *s = sin.row(row);
    float *to = dx.row(row) + column, dot = 0;
    const float inverse = head_inverse(from, dim, eps, lane);
    for (int64_t i = 2 * lane; i < dim; i += 2 * kWarp) { // dx may be dy: a lane writes only the pairs it read
        const Pair back = rotated_back({d[i], d[i + 1]}, {c[i], c[i + 1]}, {s[i], s[i + 1]});
        to[i] = back.first * weight[i];
        to[i + 1] = back.second * weight[i + 1];
        dot += to[i] * from[i] + to[i + 1] * from[i + 1];
    }
    const float pull = warp_sum(dot) * inverse * inverse * inverse / static_cast<float>(dim);
    for (int64_t i = 2 * lane; i < dim; i += 2 * kWarp) {
        to[i] = rms_slope(to[i], from[i], inverse, pull);
        to[i + 1] = rms_slope(to[i + 1], from[i + 1], inverse, pull);
    }
}

constexpr size_t kRoom = kThreads / kWarp * sizeof(double);

} // namespace

// -- launches --------------------------------------------------------------------------------------------------------------------------

void gated_norm_modulate(cudaStream_t stream, const View& x, const View& gate, const View& branch, const View& shift, const View& scale, float eps, const View& r,
                         const View& y, const View& stats) {
    launch(stream, y.rows, kThreads, kRoom, gated_norm_modulate_kernel, x, gate, branch, shift, scale, eps, r, y, stats);
}

void norm_modulate_bwd(cudaStream_t stream, const View& dy, const View& r, const View& scale, const View& stats, const View& dr) {
    launch(stream, dy.rows, kThreads, kRoom, norm_modulate_bwd_kernel, dy, r, scale, stats, dr);
}

void affine_norm(cudaStream_t stream, const View& x, const float* weight, const float* bias, float eps, bool centred, const View& y) {
    launch(stream, y.rows, kThreads, kRoom, affine_norm_kernel, x, weight, bias, eps, centred, y);
}

void qk_norm_rope(cudaStream_t stream, const View& x, const float* weight, const View& cos, const View& sin, int64_t heads, float eps, const View& y) {
    launch(stream, maps::warp_blocks(x.rows * heads, kThreads), kThreads, 0, qk_norm_rope_kernel, x, weight, cos, sin, heads, eps, y);
}

void qk_norm_rope_bwd(cudaStream_t stream, const View& dy, const View& x, const float* weight, const View& cos, const View& sin, int64_t heads, float eps, const View& dx) {
    launch(stream, maps::warp_blocks(x.rows * heads, kThreads), kThreads, 0, qk_norm_rope_bwd_kernel, dy, x, weight, cos, sin, heads, eps, dx);
}

} // namespace atelier::ATELIER_CUDA_NS
