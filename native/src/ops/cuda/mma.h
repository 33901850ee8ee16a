// The tensor core's product and the load of its transposed operand. The emulator has its own, made from index_maps.h.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/index_maps.h"
#include "ops/cuda/typed.h"

namespace atelier::ATELIER_CUDA_NS {

// c (16 x 8, fp32) += a (16 x 16) · b (16 x 8), both bf16; all 32 lanes together
__device__ inline void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
#ifdef ATELIER_CUDA_EMULATED
    emulated::mma(c, a, b0, b1);
#elif defined(__CUDA_ARCH__)
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#endif
}

// Four 8 x 8 matrices of bf16 from shared memory, each transposed on the way; `row`: the row this lane names.
__device__ inline void load_transposed(uint32_t (&r)[4], const uint16_t* row) {
#ifdef ATELIER_CUDA_EMULATED
    emulated::load_transposed(r, row);
#elif defined(__CUDA_ARCH__)
    const uint32_t at = static_cast<uint32_t>(__cvta_generic_to_shared(row));
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(at)
        : "memory");
#endif
}

// A tile in shared memory: bf16 rows of kDim values, padded so that the eight rows a fragment touches lie in different
// banks.
template <int kDim>
struct Tile {
    static constexpr int kStride = kDim + 8;
    static constexpr size_t bytes(int rows) { return static_cast<size_t>(rows) * kStride * 2; }
    uint16_t* data;

    __device__ uint32_t pair(int row, int col) const {
        return *reinterpret_cast<const uint32_t*>(data + row * kStride + col);
    }

    // Rows [first, first + rows) of x from `column` on, narrowed where they are not bf16; rows beyond its last are
    // zero.
    template <class T>
    __device__ void fill(const Rows<T>& x, int64_t column, int64_t first, int rows) const {
        constexpr int kEach = 16 / sizeof(T);
        const int threads = static_cast<int>(blockDim.x),
                  steps = static_cast<int>(maps::pieces(rows * (kDim / kEach), threads));
        for (int step = 0; step < steps; ++step) {
            const maps::Cell at = maps::tile_cell(step, static_cast<int>(threadIdx.x), kDim, kEach, threads);
            if (at.row >= rows) break;
            uint32_t words[kEach / 2] = {};
            if (first + at.row < x.rows) read(words, x.row(first + at.row) + column + at.col);
            write(data + at.row * kStride + at.col, words);
        }
    }

    static __device__ void read(uint32_t (&words)[4], const Bf16* from) { read_device_words(words, from); }
    static __device__ void read(uint32_t (&words)[2], const float* from) {
        const Pack<4> v = load<4>(from);
        words[0] = pack_bf16(v[0], v[1]), words[1] = pack_bf16(v[2], v[3]);
    }

    static __device__ void write(uint16_t* to, const uint32_t (&words)[2]) {
        *reinterpret_cast<uint2*>(to) = uint2{words[0], words[1]};
    }
    static __device__ void write(uint16_t* to, const uint32_t (&words)[4]) {
        *reinterpret_cast<uint4*>(to) = uint4{words[0], words[1], words[2], words[3]};
    }

    // The A operand of rows [row, row + 16), columns [16·k, 16·k + 16).
    __device__ void a(uint32_t (&r)[4], int row, int k, int lane) const {
        for (int i = 0; i < 4; ++i) {
            const maps::Cell at = maps::mma_a(lane, i, 0);
            r[i] = pair(row + static_cast<int>(at.row), 16 * k + static_cast<int>(at.col));
        }
    }
};

// c[n] (16 x 8·kCols) += own's 16 rows · otherᵀ: dot products of rows of two tiles
template <int kDim, int kCols>
__device__ inline void dot_rows(
    float (&c)[kCols][4], const Tile<kDim>& own, int row, const Tile<kDim>& other, int lane) {
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
        uint32_t a[4];
        own.a(a, row, k, lane);
#pragma unroll
        for (int n = 0; n < kCols; ++n) {
            // B's column is a row of `other`, so its two neighbouring rows are neighbours in memory.
            const maps::Cell first = maps::mma_b(lane, 0, 0), second = maps::mma_b(lane, 1, 0);
            mma(c[n], a, other.pair(8 * n + static_cast<int>(first.col), 16 * k + static_cast<int>(first.row)),
                other.pair(8 * n + static_cast<int>(second.col), 16 * k + static_cast<int>(second.row)));
        }
    }
}

// c (16 x kDim) += p (16 x 8·kCols, fp32 in C's layout) · tile (8·kCols x kDim). Two neighbouring C fragments are one A
// fragment.
template <int kDim, int kCols>
__device__ inline void weigh_rows(
    float (&c)[kDim / 8][4], const float (&p)[kCols][4], const Tile<kDim>& tile, int lane) {
    const maps::Cell at = maps::ldmatrix_row(lane);
#pragma unroll
    for (int k = 0; k < kCols / 2; ++k) {
        const uint32_t a[4] = {pack_bf16(p[2 * k][0], p[2 * k][1]), pack_bf16(p[2 * k][2], p[2 * k][3]),
            pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]), pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
        for (int n = 0; n < kDim / 16; ++n) {
            uint32_t b[4];
            load_transposed(b, tile.data + (16 * k + static_cast<int>(at.row)) * Tile<kDim>::kStride + 16 * n +
                                   static_cast<int>(at.col));
            mma(c[2 * n], a, b[0], b[1]);
            mma(c[2 * n + 1], a, b[2], b[3]);
        }
    }
}

} // namespace atelier::ATELIER_CUDA_NS
