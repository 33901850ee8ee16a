// Linears and convolutions as matrix products over the workspace: operands that are not bf16 yet are narrowed piece by piece.
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
    struct Operand { // bf16 rows on whole granules
        const uint16_t* data;
        int64_t ld;
    };
    // Rows [row, row + rows) and columns [first, first + count) of a result, its two operands, and room for its sums, null where none was asked for.
    struct Piece {
        int64_t row, rows, first, count;
        Operand x, w;
        View sums;
    };
    enum class SlabOf { rows, columns }; // of the weight: what a result's columns come from
    // A slab of the weight as bf16, its rows and columns padded with zeros to whole granules.
    Operand slab(cudaStream_t, const Weight&, SlabOf, int64_t first, int64_t count);
    template <class F>
    void in_pieces(cudaStream_t, const View& x, const Weight&, SlabOf, bool aside, F&& multiply);
    int64_t slab_size(const Weight&, SlabOf) const; // how many of its rows or columns fit
    int64_t chunk_rows(int64_t elements) const;     // how many rows fit that take so many elements each

    std::unique_ptr<MatrixProduct> product_;
    const Workspace& room_;
};

} // namespace atelier::ATELIER_CUDA_NS
