// Linears and convolutions as matrix products over the workspace: operands narrowed to bf16 piece by piece, results in fp32 where they belong.
#pragma once
#include "ops/cuda/index_maps.h"
#include "ops/cuda/matrix_product.h"
#include "ops/cuda/workspace.h"
#include <memory>

namespace atelier::ATELIER_CUDA_NS {

class Products {
public:
    Products(std::unique_ptr<MatrixProduct> product, const Workspace& workspace) : product_(std::move(product)), room_(workspace) {}

    void linear(cudaStream_t, const LinearArgs&);
    void linear_dx(cudaStream_t, const LinearDxArgs&);
    void conv2d(cudaStream_t, const Conv2dArgs&);

private:
    // Rows [first, first + count) of a weight as bf16, `padded` columns and a whole number of granules of rows wide.
    struct Slab {
        const uint16_t* data;
        int64_t ld;
    };
    Slab slab(cudaStream_t, const Weight&, int64_t first, int64_t count);
    template <class F>
    void in_pieces(cudaStream_t, const View& x, const Weight&, int64_t ld, F&& multiply);
    int64_t slab_rows(const Weight&) const; // how many fit
    int64_t chunk_rows(int64_t ld) const;   // of the other operand

    std::unique_ptr<MatrixProduct> product_;
    const Workspace& room_;
};

} // namespace atelier::ATELIER_CUDA_NS
