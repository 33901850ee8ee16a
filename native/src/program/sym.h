// A matrix inside a buffer of a program, before anybody knows where the buffer lies.
#pragma once
#include "tensor/dtype.h"
#include <cstdint>

namespace atelier {

using BufferId = uint32_t;
inline constexpr BufferId kNoBuffer = ~0u;

// Row and column slices share the buffer.
struct Sym {
    BufferId buffer = kNoBuffer;
    int64_t offset = 0; // elements from the buffer's start
    int64_t rows = 0, cols = 0, ld = 0;
    DType dtype = DType::f32;

    explicit operator bool() const { return buffer != kNoBuffer; }
    Sym row_range(int64_t begin, int64_t count) const;
    Sym col_range(int64_t begin, int64_t count) const;
    Sym reshape(int64_t new_rows, int64_t new_cols) const; // contiguous only
};

} // namespace atelier
