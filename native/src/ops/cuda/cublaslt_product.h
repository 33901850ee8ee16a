// The matrix product of a card.
#pragma once
#include "ops/cuda/matrix_product.h"
#include <memory>

namespace atelier::ATELIER_CUDA_NS {

// On the calling thread's current card. `workspace`: device memory, all that products may use beside their operands.
// unsupported where the library is missing. Equal products take the same algorithm, by the library's own estimate:
// nothing is timed, so that equal runs are equal.
std::unique_ptr<MatrixProduct> make_cublaslt_product(void* workspace, uint64_t bytes);

} // namespace atelier::ATELIER_CUDA_NS
