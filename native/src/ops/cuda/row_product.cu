// A few rows against an NF4 matrix, as the modulation of a training step is: widening the matrix for a product would
// move eight times its bytes. Operands are rounded to bf16 as a product's are; sums are fp32.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/nf4_codes.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr int64_t kMostRows = 4;
constexpr int kPerLane = 32; // elements that a lane takes at a time: 16 bytes under one scale

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

__device__ inline float rounded(float v) { return bf16_to_float(float_to_bf16(v)); }

// A warp a row of the weight, for all R rows of x.
template <int R>
__global__ void row_product_kernel(View x, Nf4Data d, const __grid_constant__ Nf4Codes codes, int64_t rows, View y) {
    const float* table = shared_table(codes);
    const int lane = static_cast<int>(threadIdx.x) % kWarp;
    const int64_t row = maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (row >= rows) return;
    float sum[R] = {};
    for (int64_t col = kPerLane * lane; col < x.cols; col += kPerLane * kWarp) {
        const int64_t index = row * x.cols + col;
        const float scale = d.block_scale(d.block_of(index));
        const uint4 packed = *reinterpret_cast<const uint4*>(d.packed + index / 2);
        const uint32_t words[4] = {packed.x, packed.y, packed.z, packed.w};
#pragma unroll
        for (int i = 0; i < kPerLane; ++i) { // a byte's high half comes first
            const uint32_t byte = words[i / 8] >> (8 * (i / 2 % 4));
            const float weight = rounded(table[i % 2 ? byte & 15 : byte >> 4 & 15] * scale);
#pragma unroll
            for (int r = 0; r < R; ++r) sum[r] += rounded(x.row(r)[col + i]) * weight;
        }
    }
#pragma unroll
    for (int r = 0; r < R; ++r) {
        const float total = warp_sum(sum[r]);
        if (lane == 0) y.row(r)[row] = total;
    }
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

bool row_product_runs(const View& x, const Weight& w, const View& y) {
    return w.format == WeightFormat::nf4 && w.cols % Nf4Data::kBlock == 0 &&
           reinterpret_cast<uintptr_t>(w.nf4.packed) % 16 == 0 && x.rows > 0 && x.rows <= kMostRows &&
           x.dtype == DType::f32 && y.dtype == DType::f32;
}

void row_product(cudaStream_t stream, const View& x, const Weight& w, const View& y) {
    constexpr decltype(&row_product_kernel<1>) kernels[kMostRows] = {
        row_product_kernel<1>, row_product_kernel<2>, row_product_kernel<3>, row_product_kernel<4>};
    launch(stream, maps::warp_blocks(w.rows, kThreads), kThreads, sizeof(Nf4Codes), kernels[x.rows - 1], x, w.nf4,
        nf4_codes(), w.rows, y);
}

} // namespace atelier::ATELIER_CUDA_NS
