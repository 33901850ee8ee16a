// Flash attention on tensor cores (Dao et al. 2022): operands are bf16, or narrowed to it as they are loaded, scores
// and sums are fp32. A block takes 64 rows of one head. Backward is two passes of one kernel without atomics, so its
// sums have one order: over keys for dq, over queries for dk and dv, where everything is transposed.
#include "ops/cuda/attention.h"
#include "ops/cuda/mma.h"
#include <cmath>

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr int kThreadsOfFlash = maps::kFlashWarps * kWarp;
constexpr int kKeys = 64; // of a forward step
constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

bool aligned(const View& v) {
    return v.ld * dtype_size(v.dtype) % 16 == 0 && reinterpret_cast<uintptr_t>(v.data) % 16 == 0;
}

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

// A lane's two neighbours in every eighth of a row; c[n] holds those of its first row, then those of its second.
template <int kDim, class T>
__device__ inline void store_row(T* to, const float (&c)[kDim / 8][4], int second, float factor) {
#pragma unroll
    for (int n = 0; n < kDim / 8; ++n)
        store(to + 8 * n, Pack<2>{{c[n][2 * second] * factor, c[n][2 * second + 1] * factor}});
}

template <int kDim, class T>
__global__ void __launch_bounds__(kThreadsOfFlash) forward_kernel(TypedAttention<T> t) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, row = static_cast<int>(threadIdx.x) / kWarp * 16;
    const maps::FlashTask task = maps::flash_task(blockIdx.x, t.q.rows);
    const int64_t column = task.head * kDim, queries = t.q.rows, keys = t.k.rows;
    uint16_t* room = reinterpret_cast<uint16_t*>(shared_bytes());
    const Tile<kDim> q{room}, k{room + maps::kFlashRows * Tile<kDim>::kStride},
        v{room + (maps::kFlashRows + kKeys) * Tile<kDim>::kStride};
    q.fill(t.q, column, task.row, maps::kFlashRows);

    // A lane holds rows lane/4 and lane/4 + 8 of its warp's 16; four lanes share a row.
    const float scale = t.scale * kLog2E;
    float o[kDim / 8][4] = {}, high[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0};
    for (int64_t first = 0; first < keys; first += kKeys) {
        __syncthreads(); // the tiles may still be read
        k.fill(t.k, column, first, kKeys);
        v.fill(t.v, column, first, kKeys);
        __syncthreads();
        float s[kKeys / 8][4] = {};
        dot_rows<kDim>(s, q, row, k, lane);
        float most[2] = {high[0], high[1]};
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const bool there = first + 8 * n + maps::mma_c(lane, i).col < keys;
                s[n][i] = there ? s[n][i] * scale : -INFINITY;
                most[i / 2] = fmaxf(most[i / 2], s[n][i]);
            }
        float shrink[2], total[2] = {0, 0};
        for (int r = 0; r < 2; ++r) {
            for (int mask = 1; mask < 4; mask *= 2)
                most[r] = fmaxf(most[r], __shfl_xor_sync(0xffffffffu, most[r], mask));
            shrink[r] = exp2f(high[r] - most[r]); // 0 at the first step, where high is -inf and every step has a key
            high[r] = most[r];
        }
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                s[n][i] = exp2f(s[n][i] - high[i / 2]);
                total[i / 2] += s[n][i];
            }
        for (int r = 0; r < 2; ++r) sum[r] = sum[r] * shrink[r] + total[r];
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) o[n][i] *= shrink[i / 2];
        weigh_rows<kDim>(o, s, v, lane);
    }
    for (int r = 0; r < 2; ++r)
        for (int mask = 1; mask < 4; mask *= 2) sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], mask);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const maps::Cell at = maps::mma_c(lane, 2 * r);
        const int64_t query = task.row + row + at.row;
        if (query >= queries) continue;
        store_row<kDim>(t.o.row(query) + column + at.col, o, r, 1.0f / sum[r]);
        if (t.lse && at.col == 0) t.lse.row(task.head)[query] = (high[r] + log2f(sum[r])) * kLn2;
    }
}

// Own rows are the block's: queries with (q, dout) for dq, keys with (k, v) for dk and dv; the others stream past.
template <int kDim, bool kOfKeys, class T>
__global__ void __launch_bounds__(kThreadsOfFlash) backward_kernel(TypedAttentionBwd<T> t) {
    constexpr int kOthers = kOfKeys ? 32 : 64; // two gradients stand in registers for keys, so fewer scores may
    const int lane = static_cast<int>(threadIdx.x) % kWarp, row = static_cast<int>(threadIdx.x) / kWarp * 16;
    const Rows<T> own1 = kOfKeys ? t.k : t.q, own2 = kOfKeys ? t.v : t.dout, other1 = kOfKeys ? t.q : t.k,
                  other2 = kOfKeys ? t.dout : t.v;
    const maps::FlashTask task = maps::flash_task(blockIdx.x, own1.rows);
    const int64_t column = task.head * kDim;
    uint16_t* room = reinterpret_cast<uint16_t*>(shared_bytes());
    constexpr int kStride = Tile<kDim>::kStride;
    const Tile<kDim> a1{room}, a2{room + maps::kFlashRows * kStride}, b1{room + 2 * maps::kFlashRows * kStride},
        b2{room + (2 * maps::kFlashRows + kOthers) * kStride};
    a1.fill(own1, column, task.row, maps::kFlashRows);
    a2.fill(own2, column, task.row, maps::kFlashRows);

    const float *lse = t.lse.row(task.head), *delta = t.delta.row(task.head);
    float d1[kDim / 8][4] = {}, d2[kOfKeys ? kDim / 8 : 1][4] = {};
    for (int64_t first = 0; first < other1.rows; first += kOthers) {
        __syncthreads();
        b1.fill(other1, column, first, kOthers);
        b2.fill(other2, column, first, kOthers);
        __syncthreads();
        float p[kOthers / 8][4] = {}, ds[kOthers / 8][4] = {};
        dot_rows<kDim>(p, a1, row, b1, lane); // scores
        dot_rows<kDim>(ds, a2, row, b2, lane); // gradient of the probabilities
#pragma unroll
        for (int n = 0; n < kOthers / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const maps::Cell at = maps::mma_c(lane, i);
                const int64_t own = task.row + row + at.row, other = first + 8 * n + at.col,
                              query = kOfKeys ? other : own;
                const bool there = own < own1.rows && other < other1.rows;
                p[n][i] = there ? exp2f((p[n][i] * t.scale - lse[query]) * kLog2E) : 0.0f;
                ds[n][i] = there ? p[n][i] * (ds[n][i] - delta[query]) * t.scale : 0.0f;
            }
        weigh_rows<kDim>(d1, ds, b1, lane);
        if constexpr (kOfKeys) weigh_rows<kDim>(d2, p, b2, lane);
    }
    const Rows<T> out1 = kOfKeys ? t.dk : t.dq;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const maps::Cell at = maps::mma_c(lane, 2 * r);
        const int64_t own = task.row + row + at.row;
        if (own >= own1.rows) continue;
        store_row<kDim>(out1.row(own) + column + at.col, d1, r, 1.0f);
        if constexpr (kOfKeys) store_row<kDim>(t.dv.row(own) + column + at.col, d2, r, 1.0f);
    }
}

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

template <int kDim, class T>
void forward(cudaStream_t stream, const AttentionArgs& t) {
    constexpr size_t kShared = Tile<kDim>::bytes(maps::kFlashRows + 2 * kKeys);
    launch(stream, maps::flash_blocks(t.heads, t.q.rows), kThreadsOfFlash, kShared, forward_kernel<kDim, T>,
        TypedAttention<T>(t));
}

template <int kDim, class T>
void backward(cudaStream_t stream, const AttentionBwdArgs& t) {
    const TypedAttentionBwd<T> b(t);
    launch(stream, maps::flash_blocks(t.heads, t.q.rows), kThreadsOfFlash,
        Tile<kDim>::bytes(2 * maps::kFlashRows + 2 * 64), backward_kernel<kDim, false, T>, b);
    launch(stream, maps::flash_blocks(t.heads, t.k.rows), kThreadsOfFlash,
        Tile<kDim>::bytes(2 * maps::kFlashRows + 2 * 32), backward_kernel<kDim, true, T>, b);
}

} // namespace

bool flash_runs(const AttentionArgs& t) {
    return (t.dim == 64 || t.dim == 128) && !t.causal && !t.bias && t.k.rows > 0 && aligned(t.q) && aligned(t.k) &&
           aligned(t.v) && aligned(t.o);
}

bool flash_runs(const AttentionBwdArgs& t) {
    for (const View& v : {t.dout, t.q, t.k, t.v, t.dq, t.dk, t.dv})
        if (!aligned(v)) return false;
    return t.dim == 64 || t.dim == 128;
}

void flash_attention(cudaStream_t stream, const AttentionArgs& t) {
    with_type(
        attention_type(t), [&]<class T>() { t.dim == 64 ? forward<64, T>(stream, t) : forward<128, T>(stream, t); });
}

void flash_attention_bwd(cudaStream_t stream, const AttentionBwdArgs& t) {
    attention_delta(stream, t);
    with_type(
        attention_type(t), [&]<class T>() { t.dim == 64 ? backward<64, T>(stream, t) : backward<128, T>(stream, t); });
}

} // namespace atelier::ATELIER_CUDA_NS
