// Attention with fp32 products for what the flash kernels do not take: other head sizes, causal masks, added biases. A
// warp is one query (backward also: one key) of one head; its lanes share the head's columns. Slow and plain; encoders
// and the autoencoder's one layer are all it serves.
#include "ops/cuda/attention.h"
#include "ops/cuda/index_maps.h"
#include <cmath>

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr int kColumns = static_cast<int>(kMostHeadDim) / kWarp; // of a lane

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

template <class T>
__device__ inline float dot(const T* x, const float (&y)[kColumns], int64_t dim, int lane) {
    float sum = 0;
    for (int c = 0; c < kColumns; ++c)
        if (lane + c * kWarp < dim) sum += widened(x[lane + c * kWarp]) * y[c];
    return warp_sum(sum);
}

template <class T>
__device__ inline void read(float (&x)[kColumns], const T* from, int64_t dim, int lane) {
    for (int c = 0; c < kColumns; ++c) x[c] = lane + c * kWarp < dim ? widened(from[lane + c * kWarp]) : 0.0f;
}

template <class T>
__device__ inline void write(T* to, const float (&x)[kColumns], float factor, int64_t dim, int lane) {
    for (int c = 0; c < kColumns; ++c)
        if (lane + c * kWarp < dim) to[lane + c * kWarp] = narrowed<T>(x[c] * factor);
}

template <class T>
__device__ inline void add(float (&x)[kColumns], const T* y, float factor, int64_t dim, int lane) {
    for (int c = 0; c < kColumns; ++c)
        if (lane + c * kWarp < dim) x[c] += factor * widened(y[lane + c * kWarp]);
}

template <class T>
__global__ void forward_kernel(TypedAttention<T> t) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (task >= t.heads * t.q.rows) return;
    const int64_t head = task / t.q.rows, query = task % t.q.rows, column = head * t.dim,
                  keys = t.causal && query + 1 < t.k.rows ? query + 1 : t.k.rows;
    float q[kColumns], o[kColumns] = {}, high = -INFINITY, sum = 0;
    read(q, t.q.row(query) + column, t.dim, lane);
    for (int64_t key = 0; key < keys; ++key) {
        float s = dot(t.k.row(key) + column, q, t.dim, lane) * t.scale;
        if (t.bias) s += t.bias[(head * t.q.rows + query) * t.k.rows + key];
        if (s > high) {
            const float shrink = expf(high - s);
            sum *= shrink;
            for (int c = 0; c < kColumns; ++c) o[c] *= shrink;
            high = s;
        }
        const float p = expf(s - high);
        sum += p;
        add(o, t.v.row(key) + column, p, t.dim, lane);
    }
    write(t.o.row(query) + column, o, 1.0f / sum, t.dim, lane);
    if (t.lse && lane == 0) t.lse.row(head)[query] = high + logf(sum);
}

template <class T>
__global__ void delta_kernel(TypedAttentionBwd<T> t) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (task >= t.heads * t.q.rows) return;
    const int64_t head = task / t.q.rows, query = task % t.q.rows, column = head * t.dim;
    float sum = 0;
    for (int64_t d = lane; d < t.dim; d += kWarp)
        sum += widened(t.dout.row(query)[column + d]) * widened(t.o.row(query)[column + d]);
    sum = warp_sum(sum);
    if (lane == 0) t.delta.row(head)[query] = sum;
}

template <class T>
__global__ void queries_bwd_kernel(TypedAttentionBwd<T> t) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (task >= t.heads * t.q.rows) return;
    const int64_t head = task / t.q.rows, query = task % t.q.rows, column = head * t.dim;
    const float lse = t.lse.row(head)[query], delta = t.delta.row(head)[query];
    float q[kColumns], go[kColumns], dq[kColumns] = {};
    read(q, t.q.row(query) + column, t.dim, lane);
    read(go, t.dout.row(query) + column, t.dim, lane);
    for (int64_t key = 0; key < t.k.rows; ++key) {
        const float p = expf(dot(t.k.row(key) + column, q, t.dim, lane) * t.scale - lse);
        add(dq, t.k.row(key) + column, p * (dot(t.v.row(key) + column, go, t.dim, lane) - delta) * t.scale, t.dim,
            lane);
    }
    write(t.dq.row(query) + column, dq, 1.0f, t.dim, lane);
}

template <class T>
__global__ void keys_bwd_kernel(TypedAttentionBwd<T> t) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t task = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (task >= t.heads * t.k.rows) return;
    const int64_t head = task / t.k.rows, key = task % t.k.rows, column = head * t.dim;
    float k[kColumns], v[kColumns], dk[kColumns] = {}, dv[kColumns] = {};
    read(k, t.k.row(key) + column, t.dim, lane);
    read(v, t.v.row(key) + column, t.dim, lane);
    for (int64_t query = 0; query < t.q.rows; ++query) {
        const float p = expf(dot(t.q.row(query) + column, k, t.dim, lane) * t.scale - t.lse.row(head)[query]);
        const float slope = p * (dot(t.dout.row(query) + column, v, t.dim, lane) - t.delta.row(head)[query]) * t.scale;
        add(dk, t.q.row(query) + column, slope, t.dim, lane);
        add(dv, t.dout.row(query) + column, p, t.dim, lane);
    }
    write(t.dk.row(key) + column, dk, 1.0f, t.dim, lane);
    write(t.dv.row(key) + column, dv, 1.0f, t.dim, lane);
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void plain_attention(cudaStream_t stream, const AttentionArgs& t) {
    require(
        t.dim <= kMostHeadDim, ErrorCode::unsupported, "CUDA: a head of ", t.dim, " columns; at most ", kMostHeadDim);
    with_type(attention_type(t), [&]<class T>() {
        launch(stream, maps::warp_blocks(t.heads * t.q.rows, kThreads), kThreads, 0, forward_kernel<T>,
            TypedAttention<T>(t));
    });
}

void attention_delta(cudaStream_t stream, const AttentionBwdArgs& t) {
    with_type(attention_type(t), [&]<class T>() {
        launch(stream, maps::warp_blocks(t.heads * t.q.rows, kThreads), kThreads, 0, delta_kernel<T>,
            TypedAttentionBwd<T>(t));
    });
}

void plain_attention_bwd(cudaStream_t stream, const AttentionBwdArgs& t) {
    require(
        t.dim <= kMostHeadDim, ErrorCode::unsupported, "CUDA: a head of ", t.dim, " columns; at most ", kMostHeadDim);
    attention_delta(stream, t);
    with_type(attention_type(t), [&]<class T>() {
        const TypedAttentionBwd<T> b(t);
        launch(stream, maps::warp_blocks(t.heads * t.q.rows, kThreads), kThreads, 0, queries_bwd_kernel<T>, b);
        launch(stream, maps::warp_blocks(t.heads * t.k.rows, kThreads), kThreads, 0, keys_bwd_kernel<T>, b);
    });
}

} // namespace atelier::ATELIER_CUDA_NS
