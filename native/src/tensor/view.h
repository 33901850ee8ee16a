// A resolved matrix in memory: what ops take. Row-major, `ld` elements from one row to the next.
#pragma once
#include "tensor/dtype.h"

namespace atelier {

struct View {
    void* data = nullptr;
    int64_t rows = 0, cols = 0, ld = 0;
    DType dtype = DType::f32;

    float* f32() const { return static_cast<float*>(data); }
    float* row(int64_t r) const { return f32() + r * ld; }
    int64_t size() const { return rows * cols; }
    bool contiguous() const { return ld == cols; }
    explicit operator bool() const { return data != nullptr; }
};

} // namespace atelier
