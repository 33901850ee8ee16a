// NF4's sixteen values as kernels take them.
#pragma once
#include "quant/nf4.h"

namespace atelier::ATELIER_CUDA_NS {

struct Nf4Codes { // by value: sixteen floats of a launch's arguments
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

#endif

} // namespace atelier::ATELIER_CUDA_NS
