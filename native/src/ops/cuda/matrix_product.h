// The matrix product behind linears and convolutions: operands of bf16 or fp8, fp32 sums. What computes it is given to
// the backend: cuBLASLt on a card, loops in the tests' emulator.
#pragma once
#include "ops/cuda/device.h"
#include "tensor/dtype.h"
#include <cstdint>

namespace atelier::ATELIER_CUDA_NS {

// c (m, n) (+)= a (m, k) · op(b). All row-major; op(b) is bᵀ of (n, k) where `b_rows_are_columns`, else b (k, n). Rows
// of a and b begin on 16 bytes; those of c where they will. Both operands in e4m3: times a_scale and b_scale, n and k
// are multiples of 16, b's rows are columns, and rows of c begin on 16 bytes too.
struct Product {
    int64_t m = 0, n = 0, k = 0;
    const void* a = nullptr;
    int64_t lda = 0;
    const void* b = nullptr;
    int64_t ldb = 0;
    bool b_rows_are_columns = true;
    void* c = nullptr;
    int64_t ldc = 0;
    bool accumulate = false;
    DType c_type = DType::f32; // or bf16
    DType type = DType::bf16; // of a and b, or f8_e4m3
    const float *a_scale = nullptr, *b_scale = nullptr; // of e4m3, in the card's memory: what undoes the narrowing
};

constexpr int64_t kGranuleBytes = 16; // tensor cores read rows so many bytes at a time
constexpr int64_t kRowGranule = kGranuleBytes / 2, kFp8Granule = kGranuleBytes; // elements of bf16, of e4m3

// internal, where operands are not as Product says.
void check_product(const Product&);

class MatrixProduct {
public:
    virtual ~MatrixProduct() = default;
    virtual void multiply(cudaStream_t, const Product&) = 0; // returns before the work is done
};

} // namespace atelier::ATELIER_CUDA_NS
