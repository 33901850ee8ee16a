// Operands of products as e4m3, each matrix under one scale: its largest magnitude becomes 448. Of NF4 weights that is
// the largest scale of a block, which some element has; nothing is widened to find it. A maximum does not depend on the
// order, so the same input gives the same bits. A NaN is passed over by the maximum and stays one; an infinity makes
// the whole product NaN.
#include "base/fp8.h"
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/nf4_codes.h"
#include "ops/cuda/typed.h"
#include <algorithm>

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr size_t kRoom = kThreads / kWarp * sizeof(float);
constexpr int kTurnedStride =
    maps::kTurnedRows + 16; // bytes: pieces of 16 stay aligned, and columns begin in different banks
constexpr size_t kTurnedRoom = sizeof(Nf4Codes) + static_cast<size_t>(maps::kTurnedCols) * kTurnedStride;

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

// Block b takes rows [run_of(b)).
template <class T, int W>
__global__ void largest_kernel(Rows<T> x, float* partials) {
    const maps::Run run = maps::run_of(blockIdx.x, gridDim.x, x.rows);
    float most = 0;
    for (int64_t row = run.begin; row < run.end; ++row)
        for (int64_t col = W * static_cast<int64_t>(threadIdx.x); col < x.cols; col += W * kThreads) {
            const Pack<W> v = load<W>(x.row(row) + col);
            for (int k = 0; k < W; ++k) most = fmaxf(most, fabsf(v[k]));
        }
    most = block_max(most, reinterpret_cast<float*>(shared_bytes()));
    if (threadIdx.x == 0) partials[blockIdx.x] = most;
}

__global__ void largest_block_kernel(Nf4Data d, int64_t count, float* partials) {
    const maps::Run run = maps::run_of(blockIdx.x, gridDim.x, count);
    float most = 0;
    for (int64_t i = run.begin + threadIdx.x; i < run.end; i += kThreads) most = fmaxf(most, fabsf(d.block_scale(i)));
    most = block_max(most, reinterpret_cast<float*>(shared_bytes()));
    if (threadIdx.x == 0) partials[blockIdx.x] = most;
}

__global__ void scale_kernel(const float* partials, int64_t count, float* scale) {
    float most = 0;
    for (int64_t i = threadIdx.x; i < count; i += kThreads) most = fmaxf(most, partials[i]);
    most = block_max(most, reinterpret_cast<float*>(shared_bytes()));
    if (threadIdx.x == 0) *scale = e4m3_scale(most);
}

template <class T, int W>
__global__ void rows_kernel(Rows<T> x, const float* scale, uint8_t* out, int64_t ld) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), x.cols / W, kThreads);
    const int64_t col = W * at.col;
    if (col >= x.cols) return;
    const float inverse = 1 / *scale;
    const Pack<W> v = load<W>(x.row(at.row) + col);
    uint8_t* const to = out + at.row * ld + col;
    if constexpr (W == 4)
        write_device_words(
            to, {pack_e4m3(v[0] * inverse, v[1] * inverse) | pack_e4m3(v[2] * inverse, v[3] * inverse) << 16});
    else *to = static_cast<uint8_t>(pack_e4m3(v[0] * inverse, 0));
}

// Four bytes in, eight out, as dequant.cu's.
__global__ void weight_rows_kernel(const __grid_constant__ Nf4Data d, const __grid_constant__ Nf4Codes codes,
    int64_t begin, uint32_t count, const float* scale, uint8_t* out) {
    const float* const table = shared_table(codes);
    const Nf4Eights mine = load_nf4(d, count, [&](uint32_t i) { return begin + i; });
    const float inverse = 1 / *scale;
#pragma unroll
    for (int step = 0; step < maps::kNf4Steps; ++step) {
        if (mine.first[step] >= count) continue;
        const float factor = mine.scale[step] * inverse;
        const auto two = [&](int i) {
            return pack_e4m3(
                nf4_code(table, mine.packed[step], i) * factor, nf4_code(table, mine.packed[step], i + 1) * factor);
        };
        write_device_words(out + mine.first[step], {two(0) | two(2) << 16, two(4) | two(6) << 16});
    }
}

// The same turned, through shared memory: columns of the weight become rows.
__global__ void weight_columns_kernel(const __grid_constant__ Nf4Data d, const __grid_constant__ Nf4Codes codes,
    int64_t rows, int64_t cols, int64_t begin, const float* scale, uint8_t* out) {
    const float* const table = shared_table(codes);
    uint8_t* const tile = shared_bytes() + sizeof(Nf4Codes);
    const maps::Cell from = maps::turned_tile(blockIdx.x, rows);
    const maps::Cell own =
        maps::tile_cell(0, static_cast<int>(threadIdx.x), maps::kTurnedCols, maps::kTurnedEach, kThreads);
    if (from.row + own.row < rows) {
        const int64_t index = (from.row + own.row) * cols + begin + from.col + own.col;
        const float factor = d.block_scale(index / Nf4Data::kBlock) * (1 / *scale);
        uint32_t packed[4];
        read_device_words(packed, d.packed + index / 2);
        uint8_t* to = tile + own.col * kTurnedStride + own.row;
#pragma unroll
        for (int i = 0; i < 16; ++i, to += 2 * kTurnedStride) {
            const uint32_t byte = packed[i / 4] >> (8 * (i % 4)),
                           two = pack_e4m3(table[byte >> 4 & 15] * factor, table[byte & 15] * factor);
            to[0] = static_cast<uint8_t>(two);
            to[kTurnedStride] = static_cast<uint8_t>(two >> 8);
        }
    }
    __syncthreads();
    constexpr int kEach = 16, kSteps = maps::kTurnedRows * maps::kTurnedCols / kEach / kThreads;
#pragma unroll
    for (int step = 0; step < kSteps; ++step) { // here rows are the tile's, which are columns of the weight
        const maps::Cell at = maps::tile_cell(step, static_cast<int>(threadIdx.x), maps::kTurnedRows, kEach, kThreads);
        if (from.row + at.col >= rows) continue;
        *reinterpret_cast<uint4*>(out + (from.col + at.row) * rows + from.row + at.col) =
            *reinterpret_cast<const uint4*>(tile + at.row * kTurnedStride + at.col);
    }
}

void finish_scale(cudaStream_t stream, const float* partials, int64_t count, float* scale) {
    launch(stream, 1, kThreads, kRoom, scale_kernel, partials, count, scale);
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void e4m3_scale_of(cudaStream_t stream, const View& x, float* partials, float* scale) {
    const int64_t blocks = std::min({maps::pieces(x.size(), 4 * kThreads), x.rows, kPartials});
    with_type_and_width(x.dtype, wide({x}),
        [&]<class T, int W>() { launch(stream, blocks, kThreads, kRoom, largest_kernel<T, W>, Rows<T>(x), partials); });
    finish_scale(stream, partials, blocks, scale);
}

void e4m3_scale_of(cudaStream_t stream, const Weight& w, float* partials, float* scale) {
    const int64_t count = w.rows * w.cols / Nf4Data::kBlock,
                  blocks = std::min(maps::pieces(count, 4 * kThreads), kPartials);
    launch(stream, blocks, kThreads, kRoom, largest_block_kernel, w.nf4, count, partials);
    finish_scale(stream, partials, blocks, scale);
}

void narrow_rows_e4m3(cudaStream_t stream, const View& x, const float* scale, uint8_t* out, int64_t ld) {
    with_type_and_width(x.dtype, wide({x}), [&]<class T, int W>() {
        launch(stream, maps::element_blocks(x.rows, x.cols / W, kThreads), kThreads, 0, rows_kernel<T, W>, Rows<T>(x),
            scale, out, ld);
    });
}

void nf4_rows_e4m3(
    cudaStream_t stream, const Weight& w, int64_t first, int64_t rows, const float* scale, uint8_t* out) {
    const int64_t count = rows * w.cols;
    require(count <= maps::kNf4Most, ErrorCode::unsupported, "CUDA: ", count, " elements of a weight at once");
    launch(stream, maps::nf4_blocks(count, kThreads), kThreads, sizeof(Nf4Codes), weight_rows_kernel, w.nf4,
        nf4_codes(), first * w.cols, static_cast<uint32_t>(count), scale, out);
}

void nf4_columns_e4m3(
    cudaStream_t stream, const Weight& w, int64_t first, int64_t cols, const float* scale, uint8_t* out) {
    launch(stream, maps::turned_blocks(w.rows, cols), kThreads, kTurnedRoom, weight_columns_kernel, w.nf4, nf4_codes(),
        w.rows, w.cols, first, scale, out);
}

} // namespace atelier::ATELIER_CUDA_NS
