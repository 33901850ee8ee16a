// NF4 to bf16, at memory speed where rows are whole blocks: a thread reads 16 bytes, which are 32 elements under one
// scale. Other matrices, also those whose scales are counted row by row, and parts that begin within a block go an
// element a thread.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/nf4_codes.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

__global__ void whole_blocks_kernel(
    Nf4Data d, Nf4Codes codes, int64_t cols, WeightPart part, uint16_t* out, int64_t ld) {
    const float* const table = shared_table(codes);
    const int64_t first = maps::nf4_first(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (first >= part.rows * part.cols) return;
    const int64_t row = first / part.cols, col = first % part.cols,
                  index = (part.row + row) * cols + part.col + col; // 32 elements never cross a row
    const float scale = d.block_scale(d.block_of(index));
    const uint4 packed = *reinterpret_cast<const uint4*>(d.packed + index / 2);
    const uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
    uint16_t* to = out + row * ld + col;
#pragma unroll
    for (int w = 0; w < 4; ++w) {
        uint4 eight;
        uint32_t* pair = &eight.x;
#pragma unroll
        for (int b = 0; b < 4; ++b) { // a byte's high half comes first
            const uint32_t byte = words[w] >> (8 * b);
            pair[b] = pack_bf16(table[byte >> 4 & 15] * scale, table[byte & 15] * scale);
        }
        *reinterpret_cast<uint4*>(to + 8 * w) = eight;
    }
}

__global__ void elements_kernel(Nf4Data d, Nf4Codes codes, int64_t cols, WeightPart part, uint16_t* out, int64_t ld) {
    const float* const table = shared_table(codes);
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), part.cols, kThreads);
    if (at.col >= part.cols) return;
    const int64_t index = (part.row + at.row) * cols + part.col + at.col;
    const uint8_t byte = d.packed[index / 2];
    out[at.row * ld + at.col] =
        float_to_bf16(table[index & 1 ? byte & 15 : byte >> 4] * d.block_scale(d.block_of(index)));
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void dequantize_nf4(cudaStream_t stream, const Weight& w, const WeightPart& part, uint16_t* out, int64_t ld) {
    const Nf4Codes codes = nf4_codes();
    const bool blocks =
        w.cols % Nf4Data::kBlock == 0 && part.col % Nf4Data::kBlock == 0 && part.cols % Nf4Data::kBlock == 0;
    const bool aligned = ld % 8 == 0 && reinterpret_cast<uintptr_t>(w.nf4.packed) % 16 == 0 &&
                         reinterpret_cast<uintptr_t>(out) % 16 == 0;
    if (blocks && aligned)
        launch(stream, maps::pieces(part.rows * part.cols, kThreads * maps::kNf4PerThread), kThreads, sizeof codes,
            whole_blocks_kernel, w.nf4, codes, w.cols, part, out, ld);
    else
        launch(stream, maps::element_blocks(part.rows, part.cols, kThreads), kThreads, sizeof codes, elements_kernel,
            w.nf4, codes, w.cols, part, out, ld);
}

} // namespace atelier::ATELIER_CUDA_NS
