// A resolved matrix in memory: what ops take. Row-major, `ld` elements from one row to the next.
#pragma once
#include "base/host_device.h"
#include "tensor/dtype.h"

namespace atelier {

struct View {
    void* data = nullptr;
    int64_t rows = 0, cols = 0, ld = 0;
    DType dtype = DType::f32;

    ATELIER_HD float* f32() const { return static_cast<float*>(data); }
    ATELIER_HD float* row(int64_t r) const { return f32() + r * ld; }
    ATELIER_HD int64_t size() const { return rows * cols; }
    ATELIER_HD bool contiguous() const { return ld == cols; }
    ATELIER_HD explicit operator bool() const { return data != nullptr; }
};

} // namespace atelier
