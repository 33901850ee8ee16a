// Linears and convolutions as matrix products over the workspace: operands that are not bf16 yet are narrowed piece by
// piece. With `fp8`, linears of NF4 weights take e4m3 instead, see takes_fp8().
#pragma once
#include "ops/cuda/index_maps.h"
#include "ops/cuda/matrix_product.h"
#include "ops/cuda/plain_forms.h"
#include "ops/cuda/workspace.h"
#include <memory>

namespace atelier::ATELIER_CUDA_NS {

class Products {
public:
    Products(std::unique_ptr<MatrixProduct> product, const Workspace& workspace, bool fp8)
        : product_(std::move(product)), room_(workspace), fp8_(fp8) {}

    void linear(cudaStream_t, const LinearArgs&);
    void linear_dx(cudaStream_t, const LinearDxArgs&);
    void conv2d(cudaStream_t, const Conv2dArgs&);
    bool takes_fp8() const { return fp8_; }
    void use_plain(PlainForms::Fast kernels) {
        if (kernels == PlainForms::Fast::fp8_products) fp8_ = false;
        if (kernels == PlainForms::Fast::row_products) row_products_ = false;
    }

private:
    struct Operand { // rows on whole granules
        const void* data;
        int64_t ld;
    };
    // Rows [row, row + rows) and columns [first, first + count) of a result, its two operands, and room for its sums,
    // null where none was asked for.
    struct Piece {
        int64_t row, rows, first, count;
        Operand x, w;
        View sums;
    };
    // What of the weight a slab is: what a result's columns come from, or columns that each product sums over, whose
    // products are added up.
    enum class SlabOf { rows, columns, summed };
    struct Way {
        SlabOf of;
        DType type = DType::bf16; // of both operands, or f8_e4m3
        bool aside = false; // whether sums are kept aside
    };
    // A slab of the weight: bf16, its rows and columns padded with zeros to whole granules, or e4m3, whose columns
    // become rows.
    Operand slab(cudaStream_t, const Weight&, const Way&, int64_t first, int64_t count);
    // How many bytes of the workspace a row of x takes, none where it is read in place, and how many rows a chunk has.
    struct Chunks {
        int64_t row_bytes, rows;
    };
    Chunks chunks(const View& x, const Way&, int64_t columns) const;
    template <class F>
    void in_pieces(cudaStream_t, const View& x, const Weight&, const Way&, F&& finish);
    template <class F>
    void added_up(cudaStream_t, const View& x, const Weight&, const Way&, const View& y, F&& finish);
    bool wants_sums(const Weight&) const; // whether its slabs are columns that products sum over
    bool takes_fp8(const View& x, const Weight&, const View& result) const;
    int64_t slab_size(const Weight&, const Way&) const; // how many of its rows or columns fit
    int64_t chunk_rows(int64_t bytes) const; // how many rows fit that take so many bytes each
    void multiply(cudaStream_t, const Way&, int64_t k, const Piece&, const View& sum, bool accumulate);

    std::unique_ptr<MatrixProduct> product_;
    const Workspace& room_;
    bool fp8_, row_products_ = true;
};

} // namespace atelier::ATELIER_CUDA_NS
