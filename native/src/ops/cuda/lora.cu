// The low-rank products, in fp32: a few ranks against thousands of columns, so bound by reading x once.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/typed.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

// A warp a row of x, up to eight ranks at a time. A lane takes W neighbours of x, and of w too: then col_stride is 1.
template <class T, int W>
__global__ void project_kernel(
    Rows<T> x, const float* w, int64_t rank_stride, int64_t col_stride, float scale, Rows<float> out) {
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t row = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (row >= x.rows) return;
    for (int64_t first = 0; first < out.cols; first += maps::kOuterRanks) {
        const int64_t left = out.cols - first, here = left < maps::kOuterRanks ? left : int64_t{maps::kOuterRanks};
        float sum[maps::kOuterRanks] = {};
        for (int64_t k = W * lane; k < x.cols; k += W * kWarp) {
            const Pack<W> v = load<W>(x.row(row) + k);
            for (int r = 0; r < here; ++r) {
                const Pack<W> weight = load<W>(w + (first + r) * rank_stride + k * col_stride);
                for (int i = 0; i < W; ++i) sum[r] += v[i] * weight[i];
            }
        }
        for (int r = 0; r < here; ++r) {
            const float total = warp_sum(sum[r]);
            if (lane == 0) out.row(row)[first + r] = scale * total;
        }
    }
}

// Chunk c of the rows; where there is one chunk only, straight into the result.
template <class T>
__global__ void outer_kernel(Rows<float> p, Rows<T> x, float scale, int64_t chunks, float* out, int64_t rank_stride,
    int64_t col_stride, float* partials) {
    const maps::OuterTask task = maps::outer_task(blockIdx.x, static_cast<int>(threadIdx.x), x.cols, p.cols, kThreads);
    if (task.col >= x.cols) return;
    const int64_t left = p.cols - task.rank, here = left < maps::kOuterRanks ? left : int64_t{maps::kOuterRanks};
    const maps::Run rows = maps::run_of(task.chunk, chunks, x.rows);
    float sum[maps::kOuterRanks] = {};
    for (int64_t i = rows.begin; i < rows.end; ++i) {
        const float v = widened(x.row(i)[task.col]);
        for (int r = 0; r < here; ++r) sum[r] += p.row(i)[task.rank + r] * v;
    }
    for (int r = 0; r < here; ++r) {
        const int64_t rank = task.rank + r;
        if (chunks == 1) out[rank * rank_stride + task.col * col_stride] += scale * sum[r];
        else partials[(task.chunk * p.cols + rank) * x.cols + task.col] = sum[r];
    }
}

__global__ void add_chunks_kernel(const float* partials, int64_t ranks, int64_t cols, int64_t chunks, float scale,
    View out, int64_t rank_stride, int64_t col_stride) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), cols, kThreads);
    if (at.col >= cols) return;
    float sum = 0;
    for (int64_t c = 0; c < chunks; ++c) sum += partials[(c * ranks + at.row) * cols + at.col];
    out.f32()[at.row * rank_stride + at.col * col_stride] += scale * sum;
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void rows_times_rows(cudaStream_t stream, const View& x, const View& a, float scale, const View& out) {
    only_f32("lora_down", {a, out});
    with_type_and_width(one_type("lora_down", {x}), wide({x, a}), [&]<class T, int W>() {
        launch(stream, maps::warp_blocks(x.rows, kThreads), kThreads, 0, project_kernel<T, W>, Rows<T>(x), a.f32(),
            a.ld, int64_t{1}, scale, Rows<float>(out));
    });
}

void rows_times_columns(cudaStream_t stream, const View& x, const View& b, float scale, const View& out) {
    only_f32("lora_grad", {b, out});
    with_type(one_type("lora_grad", {x}), [&]<class T>() {
        launch(stream, maps::warp_blocks(x.rows, kThreads), kThreads, 0, project_kernel<T, 1>, Rows<T>(x), b.f32(),
            int64_t{1}, b.ld, scale, Rows<float>(out));
    });
}

void sum_outer(cudaStream_t stream, const View& p, const View& x, float scale, bool transposed, const View& out,
    float* partials, int64_t room) {
    const int64_t fits = room / (p.cols * x.cols), wanted = maps::pieces(x.rows, 64);
    const int64_t chunks = fits < 2 ? 1 : fits < wanted ? fits : wanted;
    const int64_t rank_stride = transposed ? 1 : out.ld, col_stride = transposed ? out.ld : 1;
    only_f32("lora_grad", {p, out});
    with_type(one_type("lora_grad", {x}), [&]<class T>() {
        launch(stream, maps::outer_blocks(x.cols, p.cols, chunks, kThreads), kThreads, 0, outer_kernel<T>,
            Rows<float>(p), Rows<T>(x), scale, chunks, out.f32(), rank_stride, col_stride, partials);
    });
    if (chunks > 1)
        launch(stream, maps::element_blocks(p.cols, x.cols, kThreads), kThreads, 0, add_chunks_kernel, partials, p.cols,
            x.cols, chunks, scale, out, rank_stride, col_stride);
}

} // namespace atelier::ATELIER_CUDA_NS
