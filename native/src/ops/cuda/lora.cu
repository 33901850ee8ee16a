// The low-rank products, in fp32: a few ranks against thousands of columns, so bound by reading x once.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr int kRows = maps::kLowRankRows, kQuad = 4; // of x, and ranks, that a thread takes at a time
constexpr int kWarps = kThreads / kWarp;

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

// Sums of kRows rows and a quad of ranks for each of `across` neighbouring lanes, a power of two, over the block's
// columns: lanes, then warps. All threads of the block call it.
__device__ inline void write_sums(
    float (&sum)[kRows][kQuad], int across, float scale, const Rows<float>& out, int64_t row, int64_t rank) {
    constexpr int kEach = kRows * kQuad;
    float* const room = reinterpret_cast<float*>(shared_bytes());
    const int thread = static_cast<int>(threadIdx.x), lane = thread % kWarp;
    __syncthreads(); // the room may still be read from the sums before
    for (int r = 0; r < kRows; ++r)
        for (int q = 0; q < kQuad; ++q) {
            for (int mask = kWarp / 2; mask >= across; mask /= 2)
                sum[r][q] += __shfl_xor_sync(0xffffffffu, sum[r][q], mask);
            if (lane < across) room[(thread / kWarp * across + lane) * kEach + r * kQuad + q] = sum[r][q];
        }
    __syncthreads();
    for (int i = thread; i < across * kEach; i += kThreads) {
        const int64_t to_row = row + i % kEach / kQuad, to_rank = rank + i / kEach * kQuad + i % kQuad;
        float total = 0;
        for (int w = 0; w < kWarps; ++w) total += room[w * across * kEach + i];
        if (to_row < out.rows && to_rank < out.cols) out.row(to_row)[to_rank] = scale * total;
    }
}

// out = scale · x · wᵀ. Rows below x's last are counted like it and not written.
template <class T, int W>
__global__ void times_rows_kernel(Rows<T> x, Rows<float> w, float scale, Rows<float> out) {
    const int64_t row = kRows * static_cast<int64_t>(blockIdx.x), last = x.rows - 1;
    for (int64_t rank = 0; rank < out.cols; rank += kQuad) {
        float sum[kRows][kQuad] = {};
#pragma unroll 2
        for (int64_t col = W * static_cast<int64_t>(threadIdx.x); col < x.cols; col += W * kThreads) {
            Pack<W> v[kRows], weight[kQuad];
            for (int r = 0; r < kRows; ++r) v[r] = load<W>(x.row(row + r < last ? row + r : last) + col);
            for (int q = 0; q < kQuad; ++q) weight[q] = rank + q < w.rows ? load<W>(w.row(rank + q) + col) : Pack<W>{};
            for (int r = 0; r < kRows; ++r)
                for (int q = 0; q < kQuad; ++q)
                    for (int k = 0; k < W; ++k) sum[r][q] += v[r][k] * weight[q][k];
        }
        write_sums(sum, 1, scale, out, row, rank);
    }
}

// out = scale · x · w. `across` neighbouring lanes share a column, a quad of its ranks each: what a warp reads of w is
// one run of bytes. kTogether: quads can be read at once.
template <class T, bool kTogether>
__global__ void times_columns_kernel(Rows<T> x, Rows<float> w, int across, float scale, Rows<float> out) {
    const int64_t row = kRows * static_cast<int64_t>(blockIdx.x), last = x.rows - 1;
    const int thread = static_cast<int>(threadIdx.x);
    for (int64_t group = 0; group < out.cols; group += kQuad * across) {
        const int64_t rank = group + thread % across * kQuad;
        float sum[kRows][kQuad] = {};
        if (rank < out.cols)
#pragma unroll 4
            for (int64_t col = thread / across; col < x.cols; col += kThreads / across) {
                Pack<kQuad> weight;
                if constexpr (kTogether) weight = load<kQuad>(w.row(col) + rank);
                else
                    for (int q = 0; q < kQuad; ++q) weight[q] = rank + q < w.cols ? w.row(col)[rank + q] : 0;
                for (int r = 0; r < kRows; ++r) {
                    const float v = widened(x.row(row + r < last ? row + r : last)[col]);
                    for (int q = 0; q < kQuad; ++q) sum[r][q] += v * weight[q];
                }
            }
        write_sums(sum, across, scale, out, row, group);
    }
}

// Chunk c of the rows; where there is one chunk only, straight into the result. A thread takes W columns and kGroup
// ranks, all of them there and read four at once where kWhole.
template <class T, int W, int kGroup, bool kWhole>
__global__ void outer_kernel(Rows<float> p, Rows<T> x, float scale, int64_t chunks, float* out, int64_t rank_stride,
    int64_t col_stride, float* partials) {
    const maps::OuterTask task =
        maps::outer_task(blockIdx.x, static_cast<int>(threadIdx.x), x.cols / W, p.cols, kGroup, kThreads);
    const int64_t col = W * task.col;
    if (col >= x.cols) return;
    const maps::Run rows = maps::run_of(task.chunk, chunks, x.rows);
    Pack<W> sum[kGroup] = {};
#pragma unroll 4
    for (int64_t i = rows.begin; i < rows.end; ++i) {
        const Pack<W> v = load<W>(x.row(i) + col);
        Pack<kGroup> factor;
        if constexpr (kWhole)
            for (int q = 0; q < kGroup; q += kQuad) {
                const Pack<kQuad> four = load<kQuad>(p.row(i) + task.rank + q);
                for (int k = 0; k < kQuad; ++k) factor[q + k] = four[k];
            }
        else
            for (int r = 0; r < kGroup; ++r) factor[r] = task.rank + r < p.cols ? p.row(i)[task.rank + r] : 0;
        for (int r = 0; r < kGroup; ++r)
            for (int k = 0; k < W; ++k) sum[r][k] += factor[r] * v[k];
    }
#pragma unroll
    for (int r = 0; r < kGroup; ++r) {
        const int64_t rank = task.rank + r;
        if (!kWhole && rank >= p.cols) break;
        if (chunks > 1) {
            store(partials + (task.chunk * p.cols + rank) * x.cols + col, sum[r]);
            continue;
        }
        for (int k = 0; k < W; ++k) out[rank * rank_stride + (col + k) * col_stride] += scale * sum[r][k];
    }
}

__global__ void add_chunks_kernel(const float* partials, int64_t ranks, int64_t cols, int64_t chunks, float scale,
    View out, int64_t rank_stride, int64_t col_stride) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), cols, kThreads);
    if (at.col >= cols) return;
    float sum = 0;
#pragma unroll 8
    for (int64_t c = 0; c < chunks; ++c) sum += partials[(c * ranks + at.row) * cols + at.col];
    out.f32()[at.row * rank_stride + at.col * col_stride] += scale * sum;
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

namespace {

size_t room_for(int across) { return static_cast<size_t>(kWarps * across * kRows * kQuad) * sizeof(float); }

// f.operator()<W, ranks of a group, whether all groups are whole>(): few ranks and many, of fours that can be read at
// once, and any others.
template <class F>
void with_group(bool is_wide, bool quads, int64_t ranks, F&& f) {
    if (!is_wide) f.template operator()<1, 2 * kQuad, false>();
    else if (quads && ranks == kQuad) f.template operator()<kWide, kQuad, true>();
    else if (quads && ranks % (2 * kQuad) == 0) f.template operator()<kWide, 2 * kQuad, true>();
    else f.template operator()<kWide, 2 * kQuad, false>();
}

} // namespace

void rows_times_rows(cudaStream_t stream, const View& x, const View& a, float scale, const View& out) {
    only_f32("lora_down", {a, out});
    with_type_and_width(one_type("lora_down", {x}), wide({x, a}), [&]<class T, int W>() {
        launch(stream, maps::pieces(x.rows, kRows), kThreads, room_for(1), times_rows_kernel<T, W>, Rows<T>(x),
            Rows<float>(a), scale, Rows<float>(out));
    });
}

void rows_times_columns(cudaStream_t stream, const View& x, const View& b, float scale, const View& out) {
    only_f32("lora_grad", {b, out});
    const int64_t quads = maps::pieces(b.cols, kQuad);
    int across = 1;
    while (across < quads && across < kWarp) across *= 2;
    const auto start = [&]<class T, bool kTogether>() {
        launch(stream, maps::pieces(x.rows, kRows), kThreads, room_for(across), times_columns_kernel<T, kTogether>,
            Rows<T>(x), Rows<float>(b), across, scale, Rows<float>(out));
    };
    with_type(one_type("lora_grad", {x}),
        [&]<class T>() { wide({b}) ? start.template operator()<T, true>() : start.template operator()<T, false>(); });
}

void sum_outer(cudaStream_t stream, const View& p, const View& x, float scale, bool transposed, const View& out,
    float* partials, int64_t room) {
    const int64_t rows_a_chunk = p.cols <= kQuad ? 32 : 64; // what is kept of a chunk grows with the ranks
    const int64_t fits = room / (p.cols * x.cols), wanted = maps::pieces(x.rows, rows_a_chunk);
    const int64_t chunks = fits < 2 ? 1 : fits < wanted ? fits : wanted;
    const int64_t rank_stride = transposed ? 1 : out.ld, col_stride = transposed ? out.ld : 1;
    only_f32("lora_grad", {p, out});
    with_type(one_type("lora_grad", {x}), [&]<class T>() {
        with_group(wide({x}), wide({p}), p.cols, [&]<int W, int kGroup, bool kWhole>() {
            launch(stream, maps::outer_blocks(x.cols / W, p.cols, kGroup, chunks, kThreads), kThreads, 0,
                outer_kernel<T, W, kGroup, kWhole>, Rows<float>(p), Rows<T>(x), scale, chunks, out.f32(), rank_stride,
                col_stride, partials);
        });
    });
    if (chunks > 1)
        launch(stream, maps::element_blocks(p.cols, x.cols, kThreads), kThreads, 0, add_chunks_kernel, partials, p.cols,
            x.cols, chunks, scale, out, rank_stride, col_stride);
}

} // namespace atelier::ATELIER_CUDA_NS
