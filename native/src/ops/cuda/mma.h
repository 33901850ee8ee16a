// The tensor core's product, its operands' tiles in shared memory and the loads from them. The emulator has its own
// instructions, made from index_maps.h. Shared memory is addressed as its instructions do, by 32 bits: a generic
// pointer takes two registers, and attention has none to spare.
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

// Where the block's dynamic shared memory begins, as an address of its own space.
__device__ inline uint32_t shared_address() {
#ifdef __CUDA_ARCH__
    return static_cast<uint32_t>(__cvta_generic_to_shared(shared_bytes()));
#else
    return 0;
#endif
}

// Four 8 x 8 matrices of bf16 from shared memory; `row`: the address of the row this lane names.
__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t row) {
#ifdef ATELIER_CUDA_EMULATED
    emulated::load_matrices(r, row, false);
#elif defined(__CUDA_ARCH__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(row)
        : "memory");
#endif
}

// The same, each transposed on the way.
__device__ inline void load_transposed(uint32_t (&r)[4], uint32_t row) {
#ifdef ATELIER_CUDA_EMULATED
    emulated::load_matrices(r, row, true);
#elif defined(__CUDA_ARCH__)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
        : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
        : "r"(row)
        : "memory");
#endif
}

__device__ inline void store_shared(uint32_t at, const uint32_t (&w)[2]) {
#ifdef ATELIER_CUDA_EMULATED
    std::memcpy(shared_bytes() + at, w, sizeof w);
#elif defined(__CUDA_ARCH__)
    asm volatile("st.shared.v2.b32 [%0], {%1,%2};" ::"r"(at), "r"(w[0]), "r"(w[1]) : "memory");
#endif
}
__device__ inline void store_shared(uint32_t at, const uint32_t (&w)[4]) {
#ifdef ATELIER_CUDA_EMULATED
    std::memcpy(shared_bytes() + at, w, sizeof w);
#elif defined(__CUDA_ARCH__)
    asm volatile("st.shared.v4.b32 [%0], {%1,%2,%3,%4};" ::"r"(at), "r"(w[0]), "r"(w[1]), "r"(w[2]), "r"(w[3])
        : "memory");
#endif
}

// A tile of kRows rows in shared memory, laid out by maps::tile_byte().
template <int kDim, int kRows>
struct Tile {
    static constexpr uint32_t kBytes = kRows * kDim * 2;
    uint32_t at; // a multiple of 128
};

// A tile's rows on their way, held in registers, so that all of a thread's loads are under way at once, and while
// other threads still read the tile. A thread takes pieces of 16 bytes of what is loaded.
template <int kDim, int kRows, class T, int kThreadsOfBlock>
struct TileLoad {
    static constexpr int kEach = 16 / sizeof(T), kSteps = kRows * (kDim / kEach) / kThreadsOfBlock;
    static_assert(kSteps * kThreadsOfBlock * kEach == kRows * kDim);
    uint32_t words[kSteps][kEach / 2];

    // Rows [first, first + kRows) of x from `column` on, narrowed where they are not bf16; rows beyond its last are
    // zero.
    __device__ explicit TileLoad(const Rows<T>& x, int64_t column, int64_t first) {
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            const maps::Cell at = maps::tile_cell(step, static_cast<int>(threadIdx.x), kDim, kEach, kThreadsOfBlock);
            for (uint32_t& word : words[step]) word = 0;
            if (first + at.row < x.rows) read(words[step], x.row(first + at.row) + column + at.col);
        }
    }
    __device__ void store(const Tile<kDim, kRows>& to) const {
#pragma unroll
        for (int step = 0; step < kSteps; ++step) {
            const maps::Cell at = maps::tile_cell(step, static_cast<int>(threadIdx.x), kDim, kEach, kThreadsOfBlock);
            store_shared(to.at + maps::tile_byte(at.row, at.col, kDim), words[step]);
        }
    }

private:
    static __device__ void read(uint32_t (&to)[4], const Bf16* from) { read_device_words(to, from); }
    static __device__ void read(uint32_t (&to)[2], const float* from) {
        const Pack<4> v = load<4>(from);
        to[0] = pack_bf16(v[0], v[1]), to[1] = pack_bf16(v[2], v[3]);
    }
};

// The byte of a tile that this lane names for a fragment of A or, transposed, of B; `row`: of the fragment's first.
template <int kDim>
__device__ inline uint32_t lane_of_rows(int row, int lane) {
    const maps::Cell at = maps::ldmatrix_row(lane);
    return maps::tile_byte(row + at.row, at.col, kDim);
}
// … of B's columns.
template <int kDim>
__device__ inline uint32_t lane_of_columns(int lane) {
    const maps::Cell at = maps::ldmatrix_row_of_columns(lane);
    return maps::tile_byte(at.row, at.col, kDim);
}

// c[n] (16 x 8·kCols) += own's 16 rows · otherᵀ: dot products of rows of two tiles. `own`, `other`: where this lane
// reads, by lane_of_rows() and lane_of_columns().
template <int kDim, int kCols>
__device__ inline void dot_rows(float (&c)[kCols][4], uint32_t own, uint32_t other) {
#pragma unroll
    for (int k = 0; k < kDim / 16; ++k) {
        uint32_t a[4];
        load_matrices(a, maps::tile_step(own, 0, k, kDim));
#pragma unroll
        for (int n = 0; n < kCols / 2; ++n) {
            uint32_t b[4];
            load_matrices(b, maps::tile_step(other, 16 * n, k, kDim));
            mma(c[2 * n], a, b[0], b[1]);
            mma(c[2 * n + 1], a, b[2], b[3]);
        }
    }
}

// c (16 x kDim) += p (16 x 8·kCols, fp32 in C's layout) · tile (8·kCols x kDim). Two neighbouring C fragments are one A
// fragment. `tile`: where this lane reads, by lane_of_rows().
template <int kDim, int kCols>
__device__ inline void weigh_rows(float (&c)[kDim / 8][4], const float (&p)[kCols][4], uint32_t tile) {
#pragma unroll
    for (int k = 0; k < kCols / 2; ++k) {
        const uint32_t a[4] = {pack_bf16(p[2 * k][0], p[2 * k][1]), pack_bf16(p[2 * k][2], p[2 * k][3]),
            pack_bf16(p[2 * k + 1][0], p[2 * k + 1][1]), pack_bf16(p[2 * k + 1][2], p[2 * k + 1][3])};
#pragma unroll
        for (int n = 0; n < kDim / 16; ++n) {
            uint32_t b[4];
            load_transposed(b, maps::tile_step(tile, 16 * k, n, kDim));
            mma(c[2 * n], a, b[0], b[1]);
            mma(c[2 * n + 1], a, b[2], b[3]);
        }
    }
}

} // namespace atelier::ATELIER_CUDA_NS
