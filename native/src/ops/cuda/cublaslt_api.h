// The part of cuBLASLt's C interface that is called here. Declared, not included: hosts that have nvcc often lack the
// library's headers, and none need the library itself until a card is opened. cublaslt_api_check.cpp compares it with
// cublasLt.h where there is one.
#pragma once
#include "ops/cuda/device.h"
#include <cstddef>
#include <cstdint>

namespace atelier::ATELIER_CUDA_NS::cublaslt {

// Opaque, made and freed by the library.
struct Context;
struct Operation;
struct Layout;
struct Preference;

enum class Status : int { success = 0, not_supported = 15 };       // cublasStatus_t
enum class ElementType : int { f32 = 0, bf16 = 14, e4m3 = 28 };    // cudaDataType_t
enum class ComputeType : int { f32 = 68 };                         // cublasComputeType_t
enum class Transpose : int32_t { no = 0, yes = 1 };                // cublasOperation_t
enum class OperationField : int {                                  // cublasLtMatmulDescAttributes_t
    transpose_a = 3,
    transpose_b = 4,
    scale_a = 17, // where on the card the fp32 factor of fp8 operands lies, const void*
    scale_b = 18,
};
enum class PreferenceField : int {                                 // cublasLtMatmulPreferenceAttributes_t
    most_workspace = 1, // bytes, uint64_t
    reductions = 3,     // a mask of kReduction…, uint32_t
    alignment_a = 5,    // of the pointers, bytes, uint32_t
    alignment_b = 6,
    alignment_c = 7,
    alignment_d = 8,
};
constexpr uint32_t kReductionNone = 0, kReductionInComputeType = 2; // cublasLtReductionScheme_t

struct Algorithm { // cublasLtMatmulAlgo_t
    uint64_t data[8];
};

struct Candidate { // cublasLtMatmulHeuristicResult_t
    Algorithm algorithm;
    size_t workspace_bytes;
    Status status;
    float waves;
    int reserved[4];
};

// Matrices are column-major. X(what it is called here, what it is called there, result, parameters)
#define ATELIER_CUBLASLT_FUNCTIONS(X)                                                                                  \
    X(version, cublasLtGetVersion, size_t, ())                                                                         \
    X(status_text, cublasLtGetStatusString, const char*, (Status))                                                     \
    X(create, cublasLtCreate, Status, (Context**))                                                                     \
    X(destroy, cublasLtDestroy, Status, (Context*))                                                                    \
    X(operation_create, cublasLtMatmulDescCreate, Status, (Operation**, ComputeType, ElementType scale))               \
    X(operation_set, cublasLtMatmulDescSetAttribute, Status, (Operation*, OperationField, const void*, size_t bytes))  \
    X(operation_destroy, cublasLtMatmulDescDestroy, Status, (Operation*))                                              \
    X(layout_create, cublasLtMatrixLayoutCreate, Status,                                                               \
        (Layout**, ElementType, uint64_t rows, uint64_t cols, int64_t ld))                                             \
    X(layout_destroy, cublasLtMatrixLayoutDestroy, Status, (Layout*))                                                  \
    X(preference_create, cublasLtMatmulPreferenceCreate, Status, (Preference**))                                       \
    X(preference_set, cublasLtMatmulPreferenceSetAttribute, Status,                                                    \
        (Preference*, PreferenceField, const void*, size_t bytes))                                                     \
    X(preference_destroy, cublasLtMatmulPreferenceDestroy, Status, (Preference*))                                      \
    X(candidates, cublasLtMatmulAlgoGetHeuristic, Status,                                                              \
        (Context*, Operation*, Layout * a, Layout * b, Layout * c, Layout * d, Preference*, int asked, Candidate*,     \
            int* given))                                                                                               \
    X(multiply, cublasLtMatmul, Status,                                                                                \
        (Context*, Operation*, const void* alpha, const void* a, Layout*, const void* b, Layout*, const void* beta,    \
            const void* c, Layout*, void* d, Layout*, const Algorithm*, void* workspace, size_t bytes, cudaStream_t))

struct Library {
#define X(ours, theirs, result, parameters) result(*ours) parameters = nullptr;
    ATELIER_CUBLASLT_FUNCTIONS(X)
#undef X
};

// The library, loaded when it is first asked for and never unloaded: the file that the environment variable
// ATELIER_CUBLASLT names, else libcublasLt.so.13, .12 or .so where the dynamic linker looks, else in /usr/local/cuda.
// unsupported, with what was tried, where there is none.
const Library& library();

} // namespace atelier::ATELIER_CUDA_NS::cublaslt
