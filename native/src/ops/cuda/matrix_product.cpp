#include "ops/cuda/matrix_product.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

bool on_granule(const void* data) { return reinterpret_cast<uintptr_t>(data) % kGranuleBytes == 0; }

// What the library insists on for fp8 beside what it does for bf16.
void check_fp8(const Product& p) {
    require(p.b_rows_are_columns, ErrorCode::internal,
        "product: fp8 operands are multiplied row by row only: turn the second one");
    for (const int64_t size : {p.n, p.k})
        require(size % kFp8Granule == 0, ErrorCode::internal, "product: fp8 operands with a side of ", size,
            ", not whole granules");
    require(on_granule(p.c) && p.ldc * static_cast<int64_t>(dtype_size(p.c_type)) % kGranuleBytes == 0,
        ErrorCode::internal, "product: a result of fp8 operands whose rows at ", p.ldc, " do not begin on ",
        kGranuleBytes, " bytes");
    require(p.a_scale && p.b_scale, ErrorCode::internal, "product: fp8 operands without scales");
}

} // namespace

void check_product(const Product& p) {
    require(p.k > 0, ErrorCode::internal, "product: a sum over nothing");
    require(p.c_type == DType::f32 || p.c_type == DType::bf16, ErrorCode::internal, "product: a result in ",
        dtype_name(p.c_type));
    require(p.type == DType::bf16 || p.type == DType::f8_e4m3, ErrorCode::internal, "product: operands in ",
        dtype_name(p.type));
    for (const int64_t ld : {p.lda, p.ldb})
        require(ld * static_cast<int64_t>(dtype_size(p.type)) % kGranuleBytes == 0, ErrorCode::internal,
            "product: rows of ", ld, " elements are not whole granules");
    for (const void* operand : {p.a, p.b})
        require(on_granule(operand), ErrorCode::internal, "product: an operand that is not aligned");
    if (p.type == DType::f8_e4m3) check_fp8(p);
}

} // namespace atelier::ATELIER_CUDA_NS
