// The matrix product behind linears and convolutions: bf16 operands, fp32 sums. What computes it is given to the backend: cuBLASLt on a card,
// loops in the tests' emulator.
#pragma once
#include "ops/cuda/device.h"
#include "tensor/dtype.h"
#include <cstdint>

namespace atelier::ATELIER_CUDA_NS {

// c (m, n) (+)= a (m, k) · op(b). All row-major; op(b) is bᵀ of (n, k) where `b_rows_are_columns`, else b (k, n). Rows of a and b begin on 16
// bytes; those of c where they will.
struct Product {
    int64_t m = 0, n = 0, k = 0;
    const uint16_t* a = nullptr;
    int64_t lda = 0;
    const uint16_t* b = nullptr;
    int64_t ldb = 0;
    bool b_rows_are_columns = true;
    void* c = nullptr;
    int64_t ldc = 0;
    bool accumulate = false;
    DType c_type = DType::f32; // or bf16
};

constexpr int64_t kRowGranule = 8; // elements: tensor cores read bf16 rows 16 bytes at a time

class MatrixProduct {
public:
    virtual ~MatrixProduct() = default;
    virtual void multiply(cudaStream_t, const Product&) = 0; // returns before the work is done
};

} // namespace atelier::ATELIER_CUDA_NS
