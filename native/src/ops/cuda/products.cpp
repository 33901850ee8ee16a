#include "ops/cuda/products.h"
#include "ops/cuda/typed.h"
#include <algorithm>
#include <cstddef>

namespace atelier::ATELIER_CUDA_NS {
namespace {

int64_t padded(int64_t count) { return maps::pieces(count, kRowGranule) * kRowGranule; }

constexpr int64_t kFewestFp8Rows = 16;

bool on_16_bytes(const void* data) { return reinterpret_cast<uintptr_t>(data) % 16 == 0; }

// Whether the product can read it where it lies.
bool in_place(const Weight& w) {
    return w.format == WeightFormat::bf16 && w.cols % kRowGranule == 0 && w.rows % kRowGranule == 0 &&
           on_16_bytes(w.dense);
}
bool in_place(const View& v) {
    return v.dtype == DType::bf16 && v.cols % kRowGranule == 0 && v.ld % kRowGranule == 0 && on_16_bytes(v.data);
}

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

// NF4 weights of whole blocks and granules: frozen ones, as a transformer's large linears have them. What is one row,
// or few, is bound by reading the weight, so that a faster product gains nothing: rows of modulation stay bf16. The
// library writes only results whose rows begin on granules.
bool Products::takes_fp8(const View& x, const Weight& w, const View& result) const {
    return fp8_ && x.rows >= kFewestFp8Rows && w.format == WeightFormat::nf4 && w.cols % Nf4Data::kBlock == 0 &&
           w.rows % kFp8Granule == 0 && on_16_bytes(w.nf4.packed) && on_16_bytes(result.data) &&
           result.ld * static_cast<int64_t>(dtype_size(result.dtype)) % kGranuleBytes == 0;
}

// As even as can be: a small last one would leave the card idle, and take as long as a large one. The same for a weight
// that needs no slab: products of a weight that was widened beforehand have the shapes, and so the bits, of those of
// its NF4 form.
int64_t Products::slab_size(const Weight& w, const Way& way) const {
    const bool rows = way.of == SlabOf::rows, fp8 = way.type == DType::f8_e4m3;
    const int64_t whole = rows ? w.rows : w.cols, length = padded(rows ? w.cols : w.rows);
    const int64_t granule = !rows ? Nf4Data::kBlock
                            : fp8 ? kFp8Granule
                                  : kRowGranule,
                  room = room_.sizes().weight_elements * (fp8 ? 2 : 1);
    const int64_t fit = room / length / granule * granule;
    require(fit > 0, ErrorCode::unsupported, "CUDA: a weight of ", w.rows, " x ", w.cols, ": ", granule,
        rows ? " of its rows" : " of its columns", " exceed the workspace of ", room, " elements of ",
        dtype_name(way.type));
    const int64_t even = maps::pieces(whole, maps::pieces(whole, fit));
    return std::min(maps::pieces(even, granule) * granule, whole);
}

int64_t Products::chunk_rows(int64_t bytes) const {
    const int64_t room = 2 * room_.sizes().rows_elements, fit = room / bytes;
    require(fit > 0, ErrorCode::unsupported, "CUDA: a row takes ", bytes, " bytes of workspace, which has ", room);
    return fit;
}

Products::Operand Products::slab(cudaStream_t stream, const Weight& w, const Way& way, int64_t first, int64_t count) {
    const bool of_rows = way.of == SlabOf::rows; // else of columns
    if (way.type == DType::f8_e4m3) {
        auto* const out = reinterpret_cast<uint8_t*>(room_.weight);
        if (of_rows) nf4_rows_e4m3(stream, w, first, count, &room_.scales[1], out);
        else nf4_columns_e4m3(stream, w, first, count, &room_.scales[1], out);
        return {out, of_rows ? w.cols : w.rows};
    }
    const WeightPart part = of_rows ? WeightPart{first, count, 0, w.cols} : WeightPart{0, w.rows, first, count};
    const int64_t ld = padded(part.cols), rows = padded(part.rows);
    if (in_place(w)) return {static_cast<const uint16_t*>(w.dense) + first * (of_rows ? w.cols : 1), w.cols};
    const bool whole = ld == part.cols && rows == part.rows;
    if (!whole)
        check(cudaMemsetAsync(room_.weight, 0, static_cast<size_t>(rows * ld) * 2, stream),
            "clearing a weight's padding");
    if (w.format == WeightFormat::nf4) dequantize_nf4(stream, w, part, room_.weight, ld);
    else narrow_weight(stream, w, part, room_.weight, ld);
    return {room_.weight, ld};
}

// Slabs of a wide weight's rows are so narrow that their products leave most of a card idle: 512 of 3072 rows where a
// row is 15360 long. Slabs of its columns keep the result whole, and their products are added up in fp32, as the
// product itself would. What is cut, and where, follows from the weight and the workspace, which are the same under
// every budget, and so are the bits; a slab of the whole weight where memory allows it would take other products there.
bool Products::wants_sums(const Weight& w) const {
    return w.cols > w.rows && padded(w.rows) * padded(w.cols) > room_.sizes().weight_elements;
}

Products::Chunks Products::chunks(const View& x, const Way& way, int64_t columns) const {
    const bool here = way.type == DType::bf16 && in_place(x);
    const int64_t row_bytes = here ? 0 : padded(x.cols) * static_cast<int64_t>(dtype_size(way.type)),
                  sum_bytes = way.aside ? padded(columns) * static_cast<int64_t>(sizeof(float)) : 0,
                  most = row_bytes + sum_bytes ? chunk_rows(row_bytes + sum_bytes) : x.rows;
    return {row_bytes, maps::pieces(x.rows, maps::pieces(x.rows, most))}; // even, as slabs are
}

// The workspace of rows holds a chunk of x, where it is narrowed, then a chunk of sums, where they are kept aside. An x
// that is read in place leaves chunks of sums alone, which all use one slab; otherwise a chunk of x, which took longer
// to make, is used with all slabs. Scales of fp8 are those of whole matrices, so that a result does not depend on the
// size of the pieces.
template <class F>
void Products::in_pieces(cudaStream_t stream, const View& x, const Weight& weight, const Way& way, F&& finish) {
    if (x.rows == 0) return;
    const bool fp8 = way.type == DType::f8_e4m3, here = !fp8 && in_place(x);
    const int64_t ld = padded(x.cols), each = slab_size(weight, way),
                  total = way.of == SlabOf::rows ? weight.rows : weight.cols;
    const auto [row_bytes, chunk] = chunks(x, way, each);
    float* const sums = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(room_.rows) + chunk * row_bytes);
    const auto piece = [&](int64_t row, int64_t rows, int64_t first, int64_t count, const Operand& left,
                           const Operand& right) {
        finish(
            Piece{row, rows, first, count, left, right, View{way.aside ? sums : nullptr, rows, count, padded(count)}});
    };
    if (here) {
        in_runs(total, each, [&](int64_t first, int64_t count) {
            const Operand right = slab(stream, weight, way, first, count);
            in_runs(x.rows, chunk, [&](int64_t row, int64_t rows) {
                piece(row, rows, first, count, {part(x, row, rows, 0, x.cols).data, x.ld}, right);
            });
        });
        return;
    }
    if (fp8) {
        auto* const partials = reinterpret_cast<float*>(room_.partials);
        e4m3_scale_of(stream, x, partials, &room_.scales[0]);
        e4m3_scale_of(stream, weight, partials, &room_.scales[1]);
    }
    in_runs(x.rows, chunk, [&](int64_t row, int64_t rows) {
        const View own = part(x, row, rows, 0, x.cols);
        fp8 ? narrow_rows_e4m3(stream, own, &room_.scales[0], reinterpret_cast<uint8_t*>(room_.rows), ld)
            : narrow_rows(stream, own, room_.rows, ld);
        in_runs(total, each, [&](int64_t first, int64_t count) {
            piece(row, rows, first, count, {room_.rows, ld}, slab(stream, weight, way, first, count));
        });
    });
}

// Chunk by chunk of rows, each a whole result once all slabs went into it.
template <class F>
void Products::added_up(
    cudaStream_t stream, const View& x, const Weight& weight, const Way& way, const View& y, F&& finish) {
    if (x.rows == 0) return;
    const bool here = in_place(x);
    const auto [row_bytes, chunk] = chunks(x, way, weight.rows);
    float* const sums = reinterpret_cast<float*>(reinterpret_cast<std::byte*>(room_.rows) + chunk * row_bytes);
    in_runs(x.rows, chunk, [&](int64_t row, int64_t rows) {
        const View own = part(x, row, rows, 0, x.cols), sum = way.aside
                                                                  ? View{sums, rows, weight.rows, padded(weight.rows)}
                                                                  : part(y, row, rows, 0, weight.rows);
        const Operand left = here ? Operand{own.data, own.ld} : Operand{room_.rows, padded(x.cols)};
        if (!here) narrow_rows(stream, own, room_.rows, left.ld);
        in_runs(weight.cols, slab_size(weight, way), [&](int64_t first, int64_t count) {
            const Operand columns{static_cast<const uint16_t*>(left.data) + first, left.ld};
            multiply(stream, way, count,
                {row, rows, 0, weight.rows, columns, slab(stream, weight, way, first, count), sum}, sum, first > 0);
        });
        finish(Piece{row, rows, 0, weight.rows, left, {}, sum});
    });
}

void Products::multiply(
    cudaStream_t stream, const Way& way, int64_t k, const Piece& p, const View& sum, bool accumulate) {
    Product product{p.rows, p.count, padded(k), p.x.data, p.x.ld, p.w.data, p.w.ld, way.of != SlabOf::columns, sum.data,
        sum.ld, accumulate, sum.dtype};
    if (way.type == DType::f8_e4m3) {
        product.b_rows_are_columns = true;
        product.type = way.type;
        product.a_scale = &room_.scales[0];
        product.b_scale = &room_.scales[1];
    }
    product_->multiply(stream, product);
}

// What is added to a product is added to its fp32 sums, so that a result is rounded once; were the product rounded
// before its bias, that would be one rounding more than diffusers has. A bf16 result cannot hold such sums: they stand
// in the workspace until it is written. Only a product to which nothing is added is written as bf16 by the library.
void Products::linear(cudaStream_t stream, const LinearArgs& t) {
    only_f32("linear", {t.lora_xa, t.lora_b});
    one_type("linear", {t.x});
    const bool follows = t.bias || t.lora_xa || t.pre || t.activation != Activation::none,
               narrow = one_type("linear", {t.y, t.pre}) == DType::bf16;
    if (row_products_ && row_product_runs(t.x, t.w, t.y)) {
        row_product(stream, t.x, t.w, t.y);
        if (follows) finish_linear(stream, t.y, t.bias, t.lora_xa, t.lora_b, t.lora_scale, t.activation, t.y, t.pre);
        return;
    }
    const auto finish = [&](const Piece& p, const View& sum) {
        finish_linear(stream, sum, t.bias ? t.bias + p.first : nullptr,
            part(t.lora_xa, p.row, p.rows, 0, t.lora_xa.cols), part(t.lora_b, p.first, p.count, 0, t.lora_b.cols),
            t.lora_scale, t.activation, part(t.y, p.row, p.rows, p.first, p.count),
            part(t.pre, p.row, p.rows, p.first, p.count));
    };
    const bool fp8 = takes_fp8(t.x, t.w, t.y);
    if (!fp8 && wants_sums(t.w)) {
        added_up(stream, t.x, t.w, {SlabOf::summed, DType::bf16, narrow}, t.y, [&](const Piece& p) {
            if (follows || narrow) finish(p, p.sums);
        });
        return;
    }
    const Way way{SlabOf::rows, fp8 ? DType::f8_e4m3 : DType::bf16, follows && narrow};
    in_pieces(stream, t.x, t.w, way, [&](const Piece& p) {
        const View sum = way.aside ? p.sums : part(t.y, p.row, p.rows, p.first, p.count);
        multiply(stream, way, t.w.cols, p, sum, false);
        if (follows) finish(p, sum);
    });
}

// Slabs are columns of the weight, so that each product's sums are whole: sums over slabs of rows would be rounded once
// a slab.
void Products::linear_dx(cudaStream_t stream, const LinearDxArgs& t) {
    only_f32("linear_dx", {t.lora_dxa, t.lora_a});
    one_type("linear_dx", {t.dy});
    const bool aside = t.lora_dxa && one_type("linear_dx", {t.dx}) == DType::bf16;
    const Way way{SlabOf::columns, takes_fp8(t.dy, t.w, t.dx) ? DType::f8_e4m3 : DType::bf16, aside};
    in_pieces(stream, t.dy, t.w, way, [&](const Piece& p) {
        const View dx = part(t.dx, p.row, p.rows, p.first, p.count), sum = aside ? p.sums : dx;
        multiply(stream, way, t.w.rows, p, sum, t.accumulate && !aside);
        if (!t.lora_dxa) return;
        finish_dx(stream, sum, part(t.lora_dxa, p.row, p.rows, 0, t.lora_dxa.cols),
            part(t.lora_a, 0, t.lora_a.rows, p.first, p.count), t.accumulate && aside, dx);
    });
}

// Patches of a run of pixels are gathered just before they are multiplied; the whole matrix of patches never exists.
void Products::conv2d(cudaStream_t stream, const Conv2dArgs& t) {
    one_type("conv2d", {t.x});
    const int64_t out_width = (t.width + t.pad_left + t.pad_right - t.kernel) / t.stride + 1;
    const bool follows = t.bias || t.residual;
    const Way way{SlabOf::rows, DType::bf16, follows && one_type("conv2d", {t.y, t.residual}) == DType::bf16};
    const int64_t ld = padded(t.weight.cols), each = slab_size(t.weight, way),
                  sum_bytes = way.aside ? padded(each) * static_cast<int64_t>(sizeof(float)) : 0;
    const int64_t chunk = chunk_rows(2 * ld + sum_bytes);
    float* const sums = reinterpret_cast<float*>(room_.rows + chunk * ld); // behind the patches
    in_runs(t.weight.rows, each, [&](int64_t first, int64_t count) {
        const Operand w = slab(stream, t.weight, way, first, count);
        in_runs(t.y.rows, chunk, [&](int64_t pixel, int64_t pixels) {
            gather_patches(stream, t, out_width, pixel, pixels, room_.rows, ld);
            const View y = part(t.y, pixel, pixels, first, count),
                       sum = way.aside ? View{sums, pixels, count, padded(count)} : y;
            multiply(stream, way, t.weight.cols, {pixel, pixels, first, count, {room_.rows, ld}, w, sum}, sum, false);
            if (follows)
                finish_conv(
                    stream, sum, t.bias ? t.bias + first : nullptr, part(t.residual, pixel, pixels, first, count), y);
        });
    });
}

} // namespace atelier::ATELIER_CUDA_NS
