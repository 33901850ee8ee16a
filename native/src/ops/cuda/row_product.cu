// A few rows against an NF4 matrix, as the modulation of a training step is: widening the matrix for a product would
// move eight times its bytes. Operands are rounded to bf16 as a product's are; sums are fp32.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/nf4_codes.h"
#include "ops/cuda/typed.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

constexpr int64_t kMostRows = 4;
constexpr int kWeightRows =
    2; // a warp's: two loads under way at each step, and x is read from shared memory half as often
constexpr int kEach = static_cast<int>(maps::kNf4Each);
constexpr int64_t kRoom = 48 * 1024; // of shared memory, which every card gives without being asked

size_t room_for(int64_t rows, int64_t cols) {
    return sizeof(Nf4Codes) + static_cast<size_t>(rows * cols) * sizeof(Bf16);
}

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

__device__ inline float low_half(uint32_t two) { return std::bit_cast<float>(two << 16); }
__device__ inline float high_half(uint32_t two) { return std::bit_cast<float>(two & 0xffff0000u); }

// x in shared memory, rounded once for all rows of the weight that the block takes.
template <int R>
__device__ inline const Bf16* shared_rows(const Rows<float>& x) {
    auto* const room = reinterpret_cast<uint32_t*>(shared_bytes() + sizeof(Nf4Codes));
    const int pairs = static_cast<int>(x.cols / 2);
#pragma unroll
    for (int r = 0; r < R; ++r)
        for (int i = static_cast<int>(threadIdx.x); i < pairs; i += kThreads)
            room[r * pairs + i] = pack_bf16(x.row(r)[2 * i], x.row(r)[2 * i + 1]);
    __syncthreads();
    return reinterpret_cast<const Bf16*>(room);
}

// A warp kWeightRows rows of the weight, for all R rows of x. Lanes lie side by side, eight elements each, so that they
// read runs of memory and all banks. A row below the weight's last is counted like it and not written.
template <int R>
__global__ void row_product_kernel(Rows<float> x, const __grid_constant__ Nf4Data d,
    const __grid_constant__ Nf4Codes codes, int64_t rows, Rows<float> y) {
    const float* const table = shared_table(codes);
    const Bf16* const own = shared_rows<R>(x);
    const int lane = static_cast<int>(threadIdx.x) % kWarp, cols = static_cast<int>(x.cols);
    const int64_t row = kWeightRows * maps::warp_task(blockIdx.x, static_cast<int>(threadIdx.x), kThreads);
    if (row >= rows) return;
    float sum[kWeightRows][R] = {};
#pragma unroll 4
    for (int col = kEach * lane; col < cols; col += kEach * kWarp) {
        uint32_t left[R][kEach / 2];
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const uint4 eight = *reinterpret_cast<const uint4*>(own + r * cols + col);
            left[r][0] = eight.x, left[r][1] = eight.y, left[r][2] = eight.z, left[r][3] = eight.w;
        }
#pragma unroll
        for (int w = 0; w < kWeightRows; ++w) {
            const int64_t at = (row + w < rows ? row + w : row) * x.cols + col;
            const uint32_t packed = *reinterpret_cast<const uint32_t*>(d.packed + at / 2);
            const float scale = d.block_scale(at / Nf4Data::kBlock);
#pragma unroll
            for (int i = 0; i < kEach; i += 2) {
                const uint32_t right =
                    pack_bf16(nf4_code(table, packed, i) * scale, nf4_code(table, packed, i + 1) * scale);
#pragma unroll
                for (int r = 0; r < R; ++r) {
                    sum[w][r] += low_half(left[r][i / 2]) * low_half(right);
                    sum[w][r] += high_half(left[r][i / 2]) * high_half(right);
                }
            }
        }
    }
#pragma unroll
    for (int w = 0; w < kWeightRows; ++w)
#pragma unroll
        for (int r = 0; r < R; ++r) {
            const float total = warp_sum(sum[w][r]);
            if (lane == 0 && row + w < rows) y.row(r)[row + w] = total;
        }
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

bool row_product_runs(const View& x, const Weight& w, const View& y) {
    return w.format == WeightFormat::nf4 && w.cols % Nf4Data::kBlock == 0 &&
           reinterpret_cast<uintptr_t>(w.nf4.packed) % 4 == 0 && x.rows > 0 && x.rows <= kMostRows &&
           x.dtype == DType::f32 && y.dtype == DType::f32 && room_for(x.rows, x.cols) <= static_cast<size_t>(kRoom);
}

void row_product(cudaStream_t stream, const View& x, const Weight& w, const View& y) {
    constexpr decltype(&row_product_kernel<1>) kernels[kMostRows] = {
        row_product_kernel<1>, row_product_kernel<2>, row_product_kernel<3>, row_product_kernel<4>};
    launch(stream, maps::warp_blocks(maps::pieces(w.rows, kWeightRows), kThreads), kThreads, room_for(x.rows, x.cols),
        kernels[x.rows - 1], Rows<float>(x), w.nf4, nf4_codes(), w.rows, Rows<float>(y));
}

} // namespace atelier::ATELIER_CUDA_NS
