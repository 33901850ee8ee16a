// NF4's sixteen values as kernels take them.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/index_maps.h"
#include "quant/nf4.h"

namespace atelier::ATELIER_CUDA_NS {

// Sixteen floats of a launch's arguments. Kernels take them as `const __grid_constant__ Nf4Codes`: without it an index
// that is known only as the kernel runs has every thread copy all sixteen to a stack of its own first.
struct Nf4Codes {
    float value[16];
};

inline Nf4Codes nf4_codes() {
    Nf4Codes codes;
    for (int i = 0; i < 16; ++i) codes.value[i] = kNf4Code[i];
    return codes;
}

#if defined(__CUDACC__) || defined(ATELIER_CUDA_EMULATED)

// The values in shared memory, at its start: sixteen words in sixteen banks, so that lanes with different codes do not
// wait for each other. Every thread of the block calls it.
__device__ inline const float* shared_table(const Nf4Codes& codes) {
    float* table = reinterpret_cast<float*>(shared_bytes());
    if (threadIdx.x < 16) table[threadIdx.x] = codes.value[threadIdx.x];
    __syncthreads();
    return table;
}

// Element i of eight neighbours, packed in a word: a byte's high half comes first.
__device__ inline float nf4_code(const float* table, uint32_t eight, int i) {
    return table[eight >> (i / 2 * 8 + (i % 2 ? 0 : 4)) & 15];
}

// What a thread takes of a run of `count` elements, whole blocks of 64 that begin at `packed`'s first: eight neighbours
// a step, with their scale. Every load is under way before the first is used.
struct Nf4Eights {
    uint32_t packed[maps::kNf4Steps], first[maps::kNf4Steps]; // first >= count: nothing to do
    float scale[maps::kNf4Steps];
};

// `index(first)`: where in the whole matrix. Scales counted by row are those counted from the start where rows are
// whole blocks, and no division finds them.
template <class Index>
__device__ inline Nf4Eights load_nf4(const Nf4Data& d, uint32_t count, Index&& index) {
    Nf4Eights mine;
#pragma unroll
    for (int step = 0; step < maps::kNf4Steps; ++step) {
        mine.first[step] =
            static_cast<uint32_t>(maps::nf4_first(blockIdx.x, static_cast<int>(threadIdx.x), step, kThreads));
        if (mine.first[step] >= count) continue;
        const int64_t at = index(mine.first[step]);
        mine.packed[step] = *reinterpret_cast<const uint32_t*>(d.packed + at / 2);
        mine.scale[step] = d.block_scale(at / Nf4Data::kBlock);
    }
    return mine;
}

#endif

} // namespace atelier::ATELIER_CUDA_NS
