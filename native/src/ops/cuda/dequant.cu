// NF4 to bf16, at memory speed where rows are whole blocks: threads read four bytes at a time, eight elements under one
// scale, and write whole sectors. Other matrices, also those whose scales are counted row by row, and parts that begin
// within a block go an element a thread.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/nf4_codes.h"
#include "ops/cuda/typed.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

__global__ void whole_blocks_kernel(const __grid_constant__ Nf4Data d, const __grid_constant__ Nf4Codes codes,
    int64_t cols, WeightPart part, uint16_t* out, int64_t ld) {
    const float* const table = shared_table(codes);
    const uint32_t across = static_cast<uint32_t>(part.cols), count = static_cast<uint32_t>(part.rows) * across;
    const Nf4Eights mine = load_nf4(
        d, count, [&](uint32_t i) { return (part.row + i / across) * cols + part.col + i % across; }); // never two rows
#pragma unroll
    for (int step = 0; step < maps::kNf4Steps; ++step) {
        if (mine.first[step] >= count) continue;
        uint32_t eight[4];
#pragma unroll
        for (int pair = 0; pair < 4; ++pair)
            eight[pair] = pack_bf16(nf4_code(table, mine.packed[step], 2 * pair) * mine.scale[step],
                nf4_code(table, mine.packed[step], 2 * pair + 1) * mine.scale[step]);
        write_device_words(out + mine.first[step] / across * ld + mine.first[step] % across, eight);
    }
}

__global__ void elements_kernel(const __grid_constant__ Nf4Data d, const __grid_constant__ Nf4Codes codes, int64_t cols,
    WeightPart part, uint16_t* out, int64_t ld) {
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
    const bool aligned =
        ld % 8 == 0 && reinterpret_cast<uintptr_t>(w.nf4.packed) % 4 == 0 && reinterpret_cast<uintptr_t>(out) % 16 == 0;
    if (blocks && aligned && part.rows * part.cols <= maps::kNf4Most)
        launch(stream, maps::nf4_blocks(part.rows * part.cols, kThreads), kThreads, sizeof codes, whole_blocks_kernel,
            w.nf4, codes, w.cols, part, out, ld);
    else
        launch(stream, maps::element_blocks(part.rows, part.cols, kThreads), kThreads, sizeof codes, elements_kernel,
            w.nf4, codes, w.cols, part, out, ld);
}

} // namespace atelier::ATELIER_CUDA_NS
