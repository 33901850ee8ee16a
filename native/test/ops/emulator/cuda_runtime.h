// Stands in for CUDA's header where tests compile the backend for the CPU: a block's threads are fibers that take
// turns, a barrier or a warp's exchange is where they change. It shows wrong indices, missing barriers and wrong
// arithmetic; it shows nothing about speed, memory order or what a real card's compiler makes of the source.
#pragma once
#include "counting.h"
#include "device_memory.h"
#include "driver.h"
#include "ops/cuda/index_maps.h"
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#define __global__
#define __device__
#define __launch_bounds__(...)
#define __grid_constant__

struct float4 {
    float x, y, z, w;
};
inline float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
struct alignas(8) uint2 {
    uint32_t x, y;
};
struct alignas(16) uint4 {
    uint32_t x, y, z, w;
};
struct EmulatedIndex {
    unsigned x;
};
extern EmulatedIndex threadIdx, blockIdx, blockDim, gridDim;

namespace emulated {

void run(cudaStream_t stream, int blocks, int threads, size_t shared,
    const std::function<void()>& kernel); // threads: a multiple of 32
unsigned char* shared();
void require_not_shared(const void* address); // instructions that reach device memory alone
void sync_block();
void sync_warp();
uint64_t& slot(int lane, int index); // of the running fiber's warp; 8 a lane
int next_exchange(); // 0 and 1 in turns: with two slots, an exchange need not wait for the one before it to be read

// Refuses an address of the host's, which would be read here and is out of a card's reach, anywhere in a kernel's
// argument. Kernels that are called without any device memory work on the host's, knowingly.
template <class T>
void check_argument(const T& argument) {
    if (counting()) {
        count_bytes(bytes_named(argument));
        return;
    }
    T copy = argument;
#if __has_builtin(__builtin_clear_padding)
    __builtin_clear_padding(&copy); // what lies there may be a piece of an old address
#endif
    uint64_t words[sizeof(T) / 8 + 1];
    std::memcpy(words, &copy, sizeof(T) / 8 * 8);
    for (size_t i = 0; i < sizeof(T) / 8; ++i) refuse_host_address(words[i]);
}

void set_wrong_fragments(bool); // a card whose fragments lie otherwise than the kernels believe
void mma(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1);
void load_matrices(uint32_t (&r)[4], uint32_t row, bool transposed); // row: its byte in shared memory

} // namespace emulated

template <class T>
void __stwb(T* to, T value) {
    emulated::require_not_shared(to);
    *to = value;
}

inline void __syncthreads() { emulated::sync_block(); }

template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
    static_assert(sizeof(T) <= 8);
    const int lane = static_cast<int>(threadIdx.x % 32);
    const int which = emulated::next_exchange();
    std::memcpy(&emulated::slot(lane, which), &value, sizeof value);
    emulated::sync_warp();
    T other;
    std::memcpy(&other, &emulated::slot(lane ^ mask, which), sizeof other);
    return other;
}
