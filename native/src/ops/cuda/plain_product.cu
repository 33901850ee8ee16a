// The matrix product without a library: a thread an element. Slow; meant for shapes that a library refuses.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

__global__ void product_kernel(Product p) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), p.n, kThreads);
    if (at.col >= p.n) return;
    const uint16_t *a = p.a + at.row * p.lda, *b = p.b + at.col * (p.b_rows_are_columns ? p.ldb : 1);
    const int64_t step = p.b_rows_are_columns ? 1 : p.ldb;
    float sum = 0;
    for (int64_t k = 0; k < p.k; ++k) sum += bf16_to_float(a[k]) * bf16_to_float(b[k * step]);
    float* c = p.c + at.row * p.ldc + at.col;
    *c = p.accumulate ? *c + sum : sum;
}

} // namespace

void plain_product(cudaStream_t stream, const Product& p) { launch(stream, maps::element_blocks(p.m, p.n, kThreads), kThreads, 0, product_kernel, p); }

} // namespace atelier::ATELIER_CUDA_NS
