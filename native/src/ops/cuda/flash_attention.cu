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
// Others of a backward step. fp32 takes twice the registers on its way, and beside two gradients none are left.
template <class T>
constexpr int kOthersOf = sizeof(T) == 4 ? 16 : 32;
constexpr int kMostOthers = 32;
constexpr float kLog2E = 1.4426950408889634f, kLn2 = 0.6931471805599453f;

// Bytes of shared memory. Two blocks an SM, beside the 1 KB that each takes for itself, must fit into the 100 KB of
// 8.6, 8.9 and 12.0: alone, a block leaves a scheduler nothing to do while its one warp waits.
template <int kDim>
constexpr size_t kForwardRoom = (Tile<kDim, maps::kFlashRows>::kBytes + 2 * Tile<kDim, kKeys>::kBytes);
template <int kDim>
constexpr size_t kBackwardTiles = 2 * Tile<kDim, maps::kFlashRows>::kBytes + 2 * Tile<kDim, kMostOthers>::kBytes;
template <int kDim, bool kOfKeys>
constexpr size_t kBackwardRoom = kBackwardTiles<kDim> + (kOfKeys ? 2 * kMostOthers * sizeof(float) : 0);
// Blocks an SM that the compiler must leave registers for. 8.0 and 9.0 have shared memory for three; on 8.0 they would
// spill.
template <int kDim, class T>
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ == 900
constexpr int kForwardBlocks = kDim == 128 && sizeof(T) == 2 ? 3 : 2;
#else
constexpr int kForwardBlocks = 2;
#endif
constexpr bool two_fit(size_t bytes) { return 2 * (bytes + 1024) <= 100 * 1024; }
static_assert(two_fit(kForwardRoom<128>) && two_fit(kBackwardRoom<128, false>) && two_fit(kBackwardRoom<128, true>));

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

// Scores from column `left` on become -inf: their keys do not exist.
template <int kCols>
__device__ inline void hide_columns(float (&s)[kCols][4], int left, int lane) {
#pragma unroll
    for (int n = 0; n < kCols; ++n)
#pragma unroll
        for (int i = 0; i < 4; ++i)
            if (8 * n + maps::mma_c(lane, i).col >= left) s[n][i] = -INFINITY;
}

template <int kDim, int kRows, class T>
using Load = TileLoad<kDim, kRows, T, kThreadsOfFlash>;

template <int kDim, class T>
__global__ void __launch_bounds__(kThreadsOfFlash, kForwardBlocks<kDim, T>) forward_kernel(TypedAttention<T> t) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp, row = static_cast<int>(threadIdx.x) / kWarp * 16;
    const maps::FlashTask task = maps::flash_task(blockIdx.x, t.q.rows);
    const int64_t column = task.head * kDim;
    const int keys = static_cast<int>(t.k.rows);
    const uint32_t room = shared_address();
    const Tile<kDim, maps::kFlashRows> q{room};
    const Tile<kDim, kKeys> k{q.at + q.kBytes}, v{k.at + k.kBytes};
    Load<kDim, maps::kFlashRows, T>(t.q, column, task.row).store(q);
    const uint32_t at_q = q.at + lane_of_rows<kDim>(row, lane), at_k = k.at + lane_of_columns<kDim>(lane),
                   at_v = v.at + lane_of_rows<kDim>(0, lane);

    // A lane holds rows lane/4 and lane/4 + 8 of its warp's 16; four lanes share a row.
    const float scale = t.scale * kLog2E;
    float o[kDim / 8][4] = {}, high[2] = {-INFINITY, -INFINITY}, sum[2] = {0, 0}; // high: of scores without their scale
    for (int first = 0; first < keys; first += kKeys) {
        // In halves: whole, their registers would cost 9.0 a third block.
        const Load<kDim, kKeys / 2, T> next(t.k, column, first);
        __syncthreads(); // the tiles may still be read
        next.store({k.at});
        Load<kDim, kKeys / 2, T>(t.k, column, first + kKeys / 2).store({k.at + k.kBytes / 2});
        Load<kDim, kKeys / 2, T>(t.v, column, first).store({v.at});
        Load<kDim, kKeys / 2, T>(t.v, column, first + kKeys / 2).store({v.at + v.kBytes / 2});
        __syncthreads();
        float s[kKeys / 8][4] = {};
        dot_rows<kDim>(s, at_q, at_k);
        if (first + kKeys > keys) hide_columns(s, keys - first, lane);
        float most[2] = {high[0], high[1]};
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) most[i / 2] = fmaxf(most[i / 2], s[n][i]);
        float shrink[2], total[2] = {0, 0};
        for (int r = 0; r < 2; ++r) {
            for (int mask = 1; mask < 4; mask *= 2)
                most[r] = fmaxf(most[r], __shfl_xor_sync(0xffffffffu, most[r], mask));
            shrink[r] = exp2_approx((high[r] - most[r]) * scale); // 0 at the first step: high is -inf, most is not
            high[r] = most[r];
            most[r] *= scale;
        }
#pragma unroll
        for (int n = 0; n < kKeys / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                s[n][i] = exp2_approx(fmaf(s[n][i], scale, -most[i / 2]));
                total[i / 2] += s[n][i];
            }
        for (int r = 0; r < 2; ++r) sum[r] = sum[r] * shrink[r] + total[r];
#pragma unroll
        for (int n = 0; n < kDim / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) o[n][i] *= shrink[i / 2];
        weigh_rows<kDim>(o, s, at_v);
    }
    for (int r = 0; r < 2; ++r)
        for (int mask = 1; mask < 4; mask *= 2) sum[r] += __shfl_xor_sync(0xffffffffu, sum[r], mask);
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const maps::Cell at = maps::mma_c(lane, 2 * r);
        const int64_t query = task.row + row + at.row;
        if (query >= t.q.rows) continue;
        store_row<kDim>(t.o.row(query) + column + at.col, o, r, 1.0f / sum[r]);
        if (t.lse && at.col == 0) t.lse.row(task.head)[query] = (high[r] * scale + log2f(sum[r])) * kLn2;
    }
}

// Own rows are the block's: queries with (q, dout) for dq, keys with (k, v) for dk and dv; the others stream past. A
// query that does not exist has an lse of infinity, which makes its probabilities 0.
template <int kDim, bool kOfKeys, class T>
__global__ void __launch_bounds__(kThreadsOfFlash, 2) backward_kernel(TypedAttentionBwd<T> t) {
    constexpr int kOthers = kOthersOf<T>;
    const int lane = static_cast<int>(threadIdx.x) % kWarp, row = static_cast<int>(threadIdx.x) / kWarp * 16;
    const Rows<T> own1 = kOfKeys ? t.k : t.q, own2 = kOfKeys ? t.v : t.dout, other1 = kOfKeys ? t.q : t.k,
                  other2 = kOfKeys ? t.dout : t.v;
    const maps::FlashTask task = maps::flash_task(blockIdx.x, own1.rows);
    const int64_t column = task.head * kDim;
    const Tile<kDim, maps::kFlashRows> a1{shared_address()}, a2{a1.at + a1.kBytes};
    const Tile<kDim, kOthers> b1{a2.at + a2.kBytes}, b2{b1.at + b1.kBytes};
    float* const stats = reinterpret_cast<float*>(shared_bytes() + kBackwardTiles<kDim>); // of a step's queries
    Load<kDim, maps::kFlashRows, T>(own1, column, task.row).store(a1);
    Load<kDim, maps::kFlashRows, T>(own2, column, task.row).store(a2);
    const uint32_t at_a = a1.at + lane_of_rows<kDim>(row, lane), at_columns = b1.at + lane_of_columns<kDim>(lane),
                   at_b = b1.at + lane_of_rows<kDim>(0, lane);

    const float *lse = t.lse.row(task.head), *delta = t.delta.row(task.head), scale = t.scale * kLog2E;
    float low[2] = {}, shift[2] = {}; // of this lane's two queries: lse in bits, and delta
    if constexpr (!kOfKeys)
        for (int r = 0; r < 2; ++r) {
            const int64_t query = task.row + row + maps::mma_c(lane, 2 * r).row;
            low[r] = query < own1.rows ? lse[query] * kLog2E : INFINITY;
            shift[r] = query < own1.rows ? delta[query] : 0;
        }
    float d1[kDim / 8][4] = {}, d2[kOfKeys ? kDim / 8 : 1][4] = {};
    const int others = static_cast<int>(other1.rows);
    for (int first = 0; first < others; first += kOthers) {
        const Load<kDim, kOthers, T> next1(other1, column, first), next2(other2, column, first);
        __syncthreads();
        next1.store(b1), next2.store(b2);
        if constexpr (kOfKeys)
            if (threadIdx.x < kOthers) {
                const int query = first + static_cast<int>(threadIdx.x);
                stats[threadIdx.x] = query < others ? lse[query] * kLog2E : INFINITY;
                stats[kOthers + threadIdx.x] = query < others ? delta[query] : 0;
            }
        __syncthreads();
        float p[kOthers / 8][4] = {}, ds[kOthers / 8][4] = {};
        dot_rows<kDim>(p, at_a, at_columns); // scores
        dot_rows<kDim>(ds, at_a + a1.kBytes, at_columns + b1.kBytes); // gradient of the probabilities
        if constexpr (!kOfKeys)
            if (first + kOthers > others) hide_columns(p, others - first, lane);
#pragma unroll
        for (int n = 0; n < kOthers / 8; ++n)
#pragma unroll
            for (int i = 0; i < 4; ++i) {
                const int64_t query = 8 * n + maps::mma_c(lane, i).col;
                p[n][i] = exp2_approx(fmaf(p[n][i], scale, -(kOfKeys ? stats[query] : low[i / 2])));
                ds[n][i] = p[n][i] * (ds[n][i] - (kOfKeys ? stats[kOthers + query] : shift[i / 2]));
            }
        weigh_rows<kDim>(d1, ds, at_b);
        if constexpr (kOfKeys) weigh_rows<kDim>(d2, p, at_b + b1.kBytes);
    }
    const Rows<T> out1 = kOfKeys ? t.dk : t.dq;
#pragma unroll
    for (int r = 0; r < 2; ++r) {
        const maps::Cell at = maps::mma_c(lane, 2 * r);
        const int64_t own = task.row + row + at.row;
        if (own >= own1.rows) continue;
        store_row<kDim>(out1.row(own) + column + at.col, d1, r, t.scale);
        if constexpr (kOfKeys) store_row<kDim>(t.dv.row(own) + column + at.col, d2, r, 1.0f);
    }
}

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

template <int kDim, class T>
void forward(cudaStream_t stream, const AttentionArgs& t) {
    launch(stream, maps::flash_blocks(t.heads, t.q.rows), kThreadsOfFlash, kForwardRoom<kDim>, forward_kernel<kDim, T>,
        TypedAttention<T>(t));
}

template <int kDim, class T>
void backward(cudaStream_t stream, const AttentionBwdArgs& t) {
    const TypedAttentionBwd<T> b(t);
    launch(stream, maps::flash_blocks(t.heads, t.q.rows), kThreadsOfFlash, kBackwardRoom<kDim, false>,
        backward_kernel<kDim, false, T>, b);
    launch(stream, maps::flash_blocks(t.heads, t.k.rows), kThreadsOfFlash, kBackwardRoom<kDim, true>,
        backward_kernel<kDim, true, T>, b);
}

} // namespace

bool flash_runs(const AttentionArgs& t) {
    return (t.dim == 64 || t.dim == 128) && t.scale > 0 && !t.causal && !t.bias && t.k.rows > 0 && aligned(t.q) &&
           aligned(t.k) && aligned(t.v) && aligned(t.o);
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
