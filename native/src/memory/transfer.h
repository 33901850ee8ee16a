// Matrices between the host and where Views point.
#pragma once
#include "base/half.h"
#include "memory/memory.h"
#include "tensor/view.h"
#include <algorithm>
#include <vector>

namespace atelier {

// Rows of `view` from contiguous host values.
template <class T>
void write_view(Memory& memory, const View& view, const T* values) {
    const int64_t step = view.contiguous() ? view.rows : 1;
    for (int64_t r = 0; r < view.rows; r += step)
        memory.upload(static_cast<T*>(view.data) + r * view.ld, values + r * view.cols,
            static_cast<uint64_t>(step * view.cols) * sizeof(T));
}

template <class T>
void read_view(Memory& memory, const View& view, T* values) {
    const int64_t step = view.contiguous() ? view.rows : 1;
    for (int64_t r = 0; r < view.rows; r += step)
        memory.download(values + r * view.cols, static_cast<const T*>(view.data) + r * view.ld,
            static_cast<uint64_t>(step * view.cols) * sizeof(T));
}

// f32 or bf16
inline std::vector<float> values_of(Memory& memory, const View& view) {
    std::vector<float> values(static_cast<size_t>(view.size()));
    if (view.dtype != DType::bf16) {
        read_view(memory, view, values.data());
        return values;
    }
    std::vector<uint16_t> narrow(values.size());
    read_view(memory, view, narrow.data());
    std::transform(narrow.begin(), narrow.end(), values.begin(), bf16_to_float);
    return values;
}

// Zeros in any memory, without a second copy of it on the host.
inline void write_zeros(Memory& memory, std::byte* data, uint64_t bytes) {
    const std::vector<std::byte> zeros(static_cast<size_t>(std::min<uint64_t>(bytes, 1 << 20)));
    for (uint64_t done = 0; done < bytes; done += zeros.size())
        memory.upload(data + done, zeros.data(), std::min<uint64_t>(zeros.size(), bytes - done));
}

} // namespace atelier
