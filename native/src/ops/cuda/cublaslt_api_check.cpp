// Compares our declarations of cuBLASLt with its own header, where the compiler finds one; compiles to nothing.
#include "ops/cuda/cublaslt_api.h"
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>
#include <type_traits>

namespace atelier::ATELIER_CUDA_NS::cublaslt {
namespace {

template <class Ours, class Theirs>
constexpr bool same_value(Ours ours, Theirs theirs) {
    return sizeof(Ours) == sizeof(Theirs) && static_cast<int64_t>(ours) == static_cast<int64_t>(theirs);
}

static_assert(same_value(Status::success, CUBLAS_STATUS_SUCCESS) &&
              same_value(Status::not_supported, CUBLAS_STATUS_NOT_SUPPORTED));
static_assert(same_value(ElementType::f32, CUDA_R_32F) && same_value(ElementType::bf16, CUDA_R_16BF) &&
              same_value(ElementType::e4m3, CUDA_R_8F_E4M3));
static_assert(same_value(ComputeType::f32, CUBLAS_COMPUTE_32F));
static_assert(same_value(Transpose::no, CUBLAS_OP_N) && same_value(Transpose::yes, CUBLAS_OP_T));
static_assert(same_value(OperationField::transpose_a, CUBLASLT_MATMUL_DESC_TRANSA) &&
              same_value(OperationField::transpose_b, CUBLASLT_MATMUL_DESC_TRANSB));
static_assert(same_value(OperationField::scale_a, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER) &&
              same_value(OperationField::scale_b, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER));
static_assert(same_value(PreferenceField::most_workspace, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES));
static_assert(same_value(PreferenceField::reductions, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK));
static_assert(same_value(PreferenceField::alignment_a, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES));
static_assert(same_value(PreferenceField::alignment_b, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES));
static_assert(same_value(PreferenceField::alignment_c, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES));
static_assert(same_value(PreferenceField::alignment_d, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES));
static_assert(same_value(kReductionNone, CUBLASLT_REDUCTION_SCHEME_NONE) &&
              same_value(kReductionInComputeType, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE));

using Result = cublasLtMatmulHeuristicResult_t;
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t) && alignof(Algorithm) == alignof(cublasLtMatmulAlgo_t));
static_assert(sizeof(Candidate) == sizeof(Result) && alignof(Candidate) == alignof(Result));
static_assert(offsetof(Candidate, algorithm) == offsetof(Result, algo) &&
              offsetof(Candidate, workspace_bytes) == offsetof(Result, workspaceSize));
static_assert(offsetof(Candidate, status) == offsetof(Result, state) &&
              offsetof(Candidate, waves) == offsetof(Result, wavesCount));

// Whether a call passes the same things in the same places: pointers, or values of one size.
template <class Ours, class Theirs>
constexpr bool passed_alike = sizeof(Ours) == sizeof(Theirs) && std::is_pointer_v<Ours> == std::is_pointer_v<Theirs> &&
                              std::is_floating_point_v<Ours> == std::is_floating_point_v<Theirs>;
template <class Ours, class Theirs>
constexpr bool same_call = false;
template <class R, class... P, class S, class... Q>
    requires(sizeof...(P) == sizeof...(Q))
constexpr bool same_call<R (*)(P...), S (*)(Q...)> = passed_alike<R, S> && (passed_alike<P, Q> && ...);

#define X(ours, theirs, result, parameters)                                                                            \
    static_assert(same_call<decltype(Library::ours), decltype(&theirs)>, #theirs);
ATELIER_CUBLASLT_FUNCTIONS(X)
#undef X

} // namespace
} // namespace atelier::ATELIER_CUDA_NS::cublaslt
#endif
