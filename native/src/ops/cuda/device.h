// What every kernel file shares: checked launches, sums over a warp and a block in a fixed order, and the few
// instructions that C++ has no word for. ATELIER_CUDA_EMULATED: compiled for the CPU by the tests, which bring a
// cuda_runtime.h of their own (test/ops/emulator).
#pragma once
#include "base/error.h"
#include "base/fp8.h"
#include "base/half.h"
#include "base/host_device.h"
#include <cmath>
#include <cuda_runtime.h>
#include <cstdint>
#include <cstring>

#ifndef ATELIER_CUDA_NS
#define ATELIER_CUDA_NS cuda
#endif

namespace atelier::ATELIER_CUDA_NS {

inline void check(cudaError_t error, const char* what) {
    if (error == cudaSuccess) return;
#ifndef ATELIER_CUDA_EMULATED
    require(error != cudaErrorNoKernelImageForDevice, ErrorCode::unsupported,
        "CUDA: this build has no code for this card: configure native/ with ",
        "-DCMAKE_CUDA_ARCHITECTURES=native on a machine that has it, and build it again");
#endif
    fail(error == cudaErrorMemoryAllocation ? ErrorCode::resource_exhausted : ErrorCode::internal, "CUDA: ", what, ": ",
        cudaGetErrorString(error));
}

constexpr int kWarp = 32;
constexpr int kThreads = 256; // of a block, unless a kernel says otherwise

#if defined(__CUDACC__) || defined(ATELIER_CUDA_EMULATED)

// `shared`: bytes of dynamic shared memory; beyond 48 KB a kernel must ask.
template <class... P, class... A>
void launch(cudaStream_t stream, int64_t blocks, int threads, size_t shared, void (*kernel)(P...), const A&... args) {
    if (blocks <= 0) return;
    require(blocks <= 0x7fffffff, ErrorCode::unsupported, "CUDA: a grid of ", blocks, " blocks");
#ifdef ATELIER_CUDA_EMULATED
    emulated::launching(reinterpret_cast<const void*>(kernel));
    (emulated::check_argument(args), ...);
    emulated::run(stream, static_cast<int>(blocks), threads, shared, [&] { kernel(args...); });
#else
    if (shared > 48 * 1024)
        check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                  static_cast<int>(shared)),
            "shared memory of a kernel");
    kernel<<<static_cast<unsigned>(blocks), static_cast<unsigned>(threads), shared, stream>>>(P(args)...);
    check(cudaGetLastError(), "launch");
#endif
}

#ifdef ATELIER_CUDA_EMULATED
inline unsigned char* shared_bytes() { return emulated::shared(); }
#else
extern __shared__ __align__(128) unsigned char atelier_shared[]; // tiles change bits 4 to 6 of an address
__device__ inline unsigned char* shared_bytes() { return atelier_shared; }
#endif

template <class T>
__device__ inline T warp_sum(T v) {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) v += __shfl_xor_sync(0xffffffffu, v, mask);
    return v;
}

__device__ inline float warp_max(float v) {
    for (int mask = kWarp / 2; mask > 0; mask /= 2) v = fmaxf(v, __shfl_xor_sync(0xffffffffu, v, mask));
    return v;
}

// Every thread of the block calls it and gets the sum; `room`: one value a warp. The order is fixed: lanes, then warps.
template <class T>
__device__ inline T block_sum(T v, T* room) {
    v = warp_sum(v);
    __syncthreads(); // the room may still be read from the sum before
    if (threadIdx.x % kWarp == 0) room[threadIdx.x / kWarp] = v;
    __syncthreads();
    T total = 0;
    for (unsigned i = 0; i < blockDim.x / kWarp; ++i) total += room[i];
    return total;
}

__device__ inline float block_max(float v, float* room) {
    v = warp_max(v);
    __syncthreads();
    if (threadIdx.x % kWarp == 0) room[threadIdx.x / kWarp] = v;
    __syncthreads();
    float most = room[0];
    for (unsigned i = 1; i < blockDim.x / kWarp; ++i) most = fmaxf(most, room[i]);
    return most;
}

// Two floats as neighbouring bf16, the first in the low half.
__device__ inline uint32_t pack_bf16(float first, float second) {
#ifdef __CUDA_ARCH__
    uint32_t packed;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(second), "f"(first));
    return packed;
#else
    return static_cast<uint32_t>(float_to_bf16(first)) | static_cast<uint32_t>(float_to_bf16(second)) << 16;
#endif
}

// 2^v in one instruction, to 2 ulp; what would be subnormal is 0.
__device__ inline float exp2_approx(float v) {
#ifdef __CUDA_ARCH__
    float power;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(v));
    return power;
#else
    return exp2f(v);
#endif
}

// Two floats as neighbouring e4m3, the first in the low byte.
__device__ inline uint32_t pack_e4m3(float first, float second) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 890
    uint16_t packed;
    asm("cvt.rn.satfinite.e4m3x2.f32 %0, %1, %2;" : "=h"(packed) : "f"(second), "f"(first));
    return packed;
#else
    return static_cast<uint32_t>(float_to_e4m3(first)) | static_cast<uint32_t>(float_to_e4m3(second)) << 8;
#endif
}

#endif

} // namespace atelier::ATELIER_CUDA_NS
