// Activations of fp32 or bf16 under one kernel source: kernels are templates of the element type, elements are widened
// to fp32 as they are loaded and rounded as they are stored, and nothing is computed in between in anything else.
#pragma once
#include "ops/cuda/device.h"
#include "tensor/view.h"
#include <bit>
#include <initializer_list>

namespace atelier::ATELIER_CUDA_NS {

using Bf16 = uint16_t; // its bits, as everywhere

// A matrix whose element type is known.
template <class T>
struct Rows {
    T* data = nullptr;
    int64_t rows = 0, cols = 0, ld = 0;

    Rows() = default;
    explicit Rows(const View& v) : data(static_cast<T*>(v.data)), rows(v.rows), cols(v.cols), ld(v.ld) {}
    ATELIER_HD T* row(int64_t i) const { return data + i * ld; }
    ATELIER_HD explicit operator bool() const { return data != nullptr; }
};

// One row that stands beside every row of a matrix, as gates and scales do; always fp32.
inline Rows<float> beside_every_row(const View& v) {
    Rows<float> row(v);
    row.ld = 0;
    return row;
}

// -- on the host: which kernel a launch takes
// ---------------------------------------------------------------------------------------------

// The one type that an op's activations have, f32 or bf16; absent matrices do not count. internal, where they differ or
// are of a third type.
inline DType one_type(const char* op, std::initializer_list<View> views) {
    const View* first = nullptr;
    for (const View& v : views) {
        if (!v) continue;
        const char* type = dtype_name(v.dtype);
        require(v.dtype == DType::f32 || v.dtype == DType::bf16, ErrorCode::internal, "CUDA: ", op, ": a matrix of ",
            type, "; activations are F32 or BF16");
        if (!first) first = &v;
        require(v.dtype == first->dtype, ErrorCode::internal, "CUDA: ", op, ": activations of ",
            dtype_name(first->dtype), " and ", type, "; give it one type");
    }
    return first ? first->dtype : DType::f32;
}

// internal, where a matrix that is fp32 in every model is not.
inline void only_f32(const char* op, std::initializer_list<View> views) {
    for (const View& v : views)
        require(!v || v.dtype == DType::f32, ErrorCode::internal, "CUDA: ", op, ": a matrix of ", dtype_name(v.dtype),
            " where only F32 is taken");
}

constexpr int kWide = 4; // neighbours that a thread moves at once: 16 bytes of fp32, 8 of bf16

// Whether rows can be moved kWide elements at a time.
inline bool wide(std::initializer_list<View> views) {
    for (const View& v : views)
        if (v && (v.cols % kWide != 0 || v.ld % kWide != 0 ||
                     reinterpret_cast<uintptr_t>(v.data) % (kWide * dtype_size(v.dtype)) != 0))
            return false;
    return true;
}

// f.operator()<T>()
template <class F>
void with_type(DType type, F&& f) {
    type == DType::bf16 ? f.template operator()<Bf16>() : f.template operator()<float>();
}

// f.operator()<T, W>()
template <class F>
void with_type_and_width(DType type, bool is_wide, F&& f) {
    with_type(type, [&]<class T>() { is_wide ? f.template operator()<T, kWide>() : f.template operator()<T, 1>(); });
}

#if defined(__CUDACC__) || defined(ATELIER_CUDA_EMULATED)

// -- on the device
// ----------------------------------------------------------------------------------------------------------------------

__device__ inline float widened(float v) { return v; }
__device__ inline float widened(Bf16 v) { return bf16_to_float(v); }

template <class T>
__device__ inline T narrowed(float v) {
    if constexpr (sizeof(T) == sizeof(float)) return v;
    else {
#ifdef __CUDA_ARCH__
        Bf16 bits;
        asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(bits) : "f"(v));
        return bits;
#else
        return float_to_bf16(v);
#endif
    }
}

// W neighbouring elements in registers.
template <int W>
struct Pack {
    float v[W];
    __device__ float& operator[](int i) { return v[i]; }
    __device__ float operator[](int i) const { return v[i]; }
};

// One access of 4, 8 or 16 bytes of device memory (not of shared memory), which start on a multiple of their size.
// __stwb is an ordinary store that nvcc does not split; of assigned vectors it makes single words in some kernels.
__device__ inline void read_device_words(uint32_t (&w)[1], const void* from) {
    w[0] = *static_cast<const uint32_t*>(from);
}
__device__ inline void read_device_words(uint32_t (&w)[2], const void* from) {
    const uint2 two = *static_cast<const uint2*>(from);
    w[0] = two.x, w[1] = two.y;
}
__device__ inline void read_device_words(uint32_t (&w)[4], const void* from) {
    const uint4 four = *static_cast<const uint4*>(from);
    w[0] = four.x, w[1] = four.y, w[2] = four.z, w[3] = four.w;
}
__device__ inline void write_device_words(void* to, const uint32_t (&w)[1]) { *static_cast<uint32_t*>(to) = w[0]; }
__device__ inline void write_device_words(void* to, const uint32_t (&w)[2]) {
    __stwb(static_cast<uint2*>(to), uint2{w[0], w[1]});
}
__device__ inline void write_device_words(void* to, const uint32_t (&w)[4]) {
    __stwb(static_cast<uint4*>(to), uint4{w[0], w[1], w[2], w[3]});
}

// W elements from memory; `kTogether`: they start on a multiple of their own size and are one access, else one by one.
template <int W, bool kTogether = true, class T>
__device__ inline Pack<W> load(const T* from) {
    Pack<W> p;
    if constexpr (W == 1 || !kTogether) {
        for (int k = 0; k < W; ++k) p[k] = widened(from[k]);
    } else {
        constexpr int kEach = 4 / sizeof(T);
        uint32_t words[W / kEach];
        read_device_words(words, from);
        for (int k = 0; k < W; ++k) { // the first of two lies in the low half
            if constexpr (kEach == 1) p[k] = std::bit_cast<float>(words[k]);
            else p[k] = widened(static_cast<Bf16>(words[k / 2] >> (k % 2 * 16)));
        }
    }
    return p;
}

template <bool kTogether = true, int W, class T>
__device__ inline void store(T* to, const Pack<W>& from) {
    if constexpr (W == 1 || !kTogether) {
        for (int k = 0; k < W; ++k) to[k] = narrowed<T>(from[k]);
    } else {
        constexpr int kEach = 4 / sizeof(T);
        uint32_t words[W / kEach];
        for (int i = 0; i < W / kEach; ++i) {
            if constexpr (kEach == 1) words[i] = std::bit_cast<uint32_t>(from[i]);
            else words[i] = pack_bf16(from[2 * i], from[2 * i + 1]);
        }
        write_device_words(to, words);
    }
}

// A value as a matrix of T would give it back.
template <class T>
__device__ inline float as_kept(float v) {
    return widened(narrowed<T>(v));
}

#endif

} // namespace atelier::ATELIER_CUDA_NS
