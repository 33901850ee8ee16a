#include "ops/cuda/products.h"
#include "ops/cuda/typed.h"
#include <algorithm>
#include <cstddef>

namespace atelier::ATELIER_CUDA_NS {
namespace {

int64_t padded(int64_t count) { return maps::pieces(count, kRowGranule) * kRowGranule; }

bool on_16_bytes(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

// Whether the product can read it where it lies.
bool in_place(const Weight& w) { return w.format == WeightFormat::bf16 && w.cols % kRowGranule == 0 && w.rows % kRowGranule == 0 && on_16_bytes(w.dense); }
bool in_place(const View& v) { return v.dtype == DType::bf16 && v.cols % kRowGranule == 0 && v.ld % kRowGranule == 0 && on_16_bytes(v.data); }

View part(View v, int64_t row, int64_t rows, int64_t col, int64_t cols) {
    if (!v) return v;
    v.data = static_cast<std::byte*>(v.data) + static_cast<size_t>(row * v.ld + col) * dtype_size(v.dtype);
    v.rows = rows;
    v.cols = cols;
    return v;
}

// f(first, count) for runs of at most `each`.
template <class F>
void in_runs(int64_t total, int64_t each, F&& f) {
    for (int64_t first = 0; first < total; first += each) f(first, std::min(each, total - first));
}

} // namespace

int64_t Products::slab_size(const Weight& w, SlabOf of) const {
    const int64_t whole = of == SlabOf::rows ? w.rows : w.cols, length = padded(of == SlabOf::rows ? w.cols : w.rows);
    if (in_place(w)) return whole;
    const int64_t granule = of == SlabOf::rows ? kRowGranule : Nf4Data::kBlock, fit = room_.sizes().weight_elements / length / granule * granule;
    require(fit > 0, ErrorCode::unsupported, "CUDA: a weight of ", w.rows, " x ", w.cols, ": ", granule, of == SlabOf::rows ? " of its rows" : " of its columns",
            " exceed the workspace of ", room_.sizes().weight_elements, " elements");
    return std::min(fit, whole);
}

int64_t Products::chunk_rows(int64_t elements) const {
    const int64_t fit = room_.sizes().rows_elements / elements;
    require(fit > 0, ErrorCode::unsupported, "CUDA: a row takes ", elements, " elements of workspace, which has ", room_.sizes().rows_elements);
    return fit;
}

Products::Operand Products::slab(cudaStream_t stream, const Weight& w, SlabOf of, int64_t first, int64_t count) {
    const WeightPart part = of == SlabOf::rows ? WeightPart{first, count, 0, w.cols} : WeightPart{0, w.rows, first, count};
    const int64_t ld = padded(part.cols), rows = padded(part.rows);
    if (in_place(w)) return {static_cast<const uint16_t*>(w.dense) + first * (of == SlabOf::rows ? w.cols : 1), w.cols};
    const bool whole = ld == part.cols && rows == part.rows;
    if (!whole) check(cudaMemsetAsync(room_.weight, 0, static_cast<size_t>(rows * ld) * 2, stream), "clearing a weight's padding");
    if (w.format == WeightFormat::nf4) dequantize_nf4(stream, w, part, room_.weight, ld);
    else narrow_weight(stream, w, part, room_.weight, ld);
    return {room_.weight, ld};
}

// The workspace of rows holds a chunk of x, where it is narrowed, then a chunk of sums, where they are kept aside. An x that is read in place
// leaves chunks of sums alone, which all use one slab; otherwise a chunk of x, which took longer to make, is used with all slabs.
template <class F>
void Products::in_pieces(cudaStream_t stream, const View& x, const Weight& weight, SlabOf of, bool aside, F&& multiply) {
    if (x.rows == 0) return;
    const bool here = in_place(x);
    const int64_t ld = padded(x.cols), each = slab_size(weight, of), total = of == SlabOf::rows ? weight.rows : weight.cols;
    const int64_t elements = (here ? 0 : ld) + (aside ? 2 * padded(each) : 0), most = elements ? chunk_rows(elements) : x.rows;
    const int64_t chunk = maps::pieces(x.rows, maps::pieces(x.rows, most)); // as even as can be: a small last one would leave the card idle
    float* sums = reinterpret_cast<float*>(room_.rows + (here ? 0 : chunk * ld));
    const auto piece = [&](int64_t row, int64_t rows, int64_t first, int64_t count, const Operand& left, const Operand& right) {
        multiply(Piece{row, rows, first, count, left, right, View{aside ? sums : nullptr, rows, count, padded(count)}});
    };
    if (here) {
        in_runs(total, each, [&](int64_t first, int64_t count) {
            const Operand right = slab(stream, weight, of, first, count);
            in_runs(x.rows, chunk, [&](int64_t row, int64_t rows) {
                piece(row, rows, first, count, {static_cast<const uint16_t*>(part(x, row, rows, 0, x.cols).data), x.ld}, right);
            });
        });
        return;
    }
    in_runs(x.rows, chunk, [&](int64_t row, int64_t rows) {
        narrow_rows(stream, part(x, row, rows, 0, x.cols), room_.rows, ld);
        in_runs(total, each, [&](int64_t first, int64_t count) { piece(row, rows, first, count, {room_.rows, ld}, slab(stream, weight, of, first, count)); });
    });
}

// What is added to a product is added to its fp32 sums, so that a result is rounded once; were the product rounded before its bias, that would be
// one rounding more than diffusers has. A bf16 result cannot hold such sums: they stand in the workspace until it is written. Only a product to
// which nothing is added is written as bf16 by the library.
void Products::linear(cudaStream_t stream, const LinearArgs& t) {
    only_f32("linear", {t.lora_xa, t.lora_b});
    one_type("linear", {t.x});
    const bool follows = t.bias || t.lora_xa || t.pre || t.activation != Activation::none, aside = follows && one_type("linear", {t.y, t.pre}) == DType::bf16;
    if (row_product_runs(t.x, t.w, t.y)) {
        row_product(stream, t.x, t.w, t.y);
        if (follows) finish_linear(stream, t.y, t.bias, t.lora_xa, t.lora_b, t.lora_scale, t.activation, t.y, t.pre);
        return;
    }
    in_pieces(stream, t.x, t.w, SlabOf::rows, aside, [&](const Piece& p) {
        const View y = part(t.y, p.row, p.rows, p.first, p.count), sum = aside ? p.sums : y;
        product_->multiply(stream, {p.rows, p.count, padded(t.w.cols), p.x.data, p.x.ld, p.w.data, p.w.ld, true, sum.data, sum.ld, false, sum.dtype});
        if (!follows) return;
        finish_linear(stream, sum, t.bias ? t.bias + p.first : nullptr, part(t.lora_xa, p.row, p.rows, 0, t.lora_xa.cols),
                      part(t.lora_b, p.first, p.count, 0, t.lora_b.cols), t.lora_scale, t.activation, y, part(t.pre, p.row, p.rows, p.first, p.count));
    });
}

// Slabs are columns of the weight, so that each product's sums are whole: sums over slabs of rows would be rounded once a slab.
void Products::linear_dx(cudaStream_t stream, const LinearDxArgs& t) {
    only_f32("linear_dx", {t.lora_dxa, t.lora_a});
    one_type("linear_dx", {t.dy});
    const bool aside = t.lora_dxa && one_type("linear_dx", {t.dx}) == DType::bf16;
    in_pieces(stream, t.dy, t.w, SlabOf::columns, aside, [&](const Piece& p) {
        const View dx = part(t.dx, p.row, p.rows, p.first, p.count), sum = aside ? p.sums : dx;
        product_->multiply(stream, {p.rows, p.count, padded(t.w.rows), p.x.data, p.x.ld, p.w.data, p.w.ld, false, sum.data, sum.ld, t.accumulate && !aside, sum.dtype});
        if (!t.lora_dxa) return;
        finish_dx(stream, sum, part(t.lora_dxa, p.row, p.rows, 0, t.lora_dxa.cols), part(t.lora_a, 0, t.lora_a.rows, p.first, p.count), t.accumulate && aside, dx);
    });
}

// Patches of a run of pixels are gathered just before they are multiplied; the whole matrix of patches never exists.
void Products::conv2d(cudaStream_t stream, const Conv2dArgs& t) {
    only_f32("conv2d", {t.x, t.residual, t.y});
    const int64_t out_width = (t.width + t.pad_left + t.pad_right - t.kernel) / t.stride + 1;
    const Weight weight{WeightFormat::f32, t.y.cols, t.kernel * t.kernel * t.x.cols, t.weight, {}};
    const int64_t ld = padded(weight.cols);
    in_runs(weight.rows, slab_size(weight, SlabOf::rows), [&](int64_t first, int64_t count) {
        const Operand w = slab(stream, weight, SlabOf::rows, first, count);
        in_runs(t.y.rows, chunk_rows(ld), [&](int64_t pixel, int64_t pixels) {
            gather_patches(stream, t, out_width, pixel, pixels, room_.rows, ld);
            product_->multiply(stream, {pixels, count, ld, room_.rows, ld, w.data, w.ld, true, t.y.row(pixel) + first, t.y.ld, false});
        });
    });
    finish_conv(stream, t.y, t.bias, t.residual);
}

} // namespace atelier::ATELIER_CUDA_NS
