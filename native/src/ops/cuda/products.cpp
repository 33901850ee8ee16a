#include "ops/cuda/products.h"
#include <algorithm>

namespace atelier::ATELIER_CUDA_NS {
namespace {

int64_t padded(int64_t count) { return maps::pieces(count, kRowGranule) * kRowGranule; }

View row_range(const View& v, int64_t first, int64_t count) {
    View part = v;
    if (!v) return part;
    part.data = v.row(first);
    part.rows = count;
    return part;
}

// Whether the product can read it where it lies.
bool in_place(const Weight& w) {
    return w.format == WeightFormat::bf16 && w.cols % kRowGranule == 0 && w.rows % kRowGranule == 0 && reinterpret_cast<uintptr_t>(w.dense) % 16 == 0;
}

} // namespace

int64_t Products::slab_rows(const Weight& w) const {
    if (in_place(w)) return w.rows;
    const int64_t fit = room_.sizes().weight_elements / padded(w.cols) / kRowGranule * kRowGranule;
    require(fit > 0, ErrorCode::unsupported, "CUDA: a weight of ", w.cols, " columns: eight of its rows exceed the workspace of ", room_.sizes().weight_elements, " elements");
    return std::min(fit, padded(w.rows));
}

int64_t Products::chunk_rows(int64_t ld) const {
    const int64_t fit = room_.sizes().rows_elements / ld;
    require(fit > 0, ErrorCode::unsupported, "CUDA: a row of ", ld, " columns exceeds the workspace of ", room_.sizes().rows_elements, " elements");
    return fit;
}

Products::Slab Products::slab(cudaStream_t stream, const Weight& w, int64_t first, int64_t count) {
    const int64_t ld = padded(w.cols), rows = padded(count);
    const bool whole = ld == w.cols && rows == count;
    if (in_place(w)) return {static_cast<const uint16_t*>(w.dense) + first * ld, ld};
    if (!whole) check(cudaMemsetAsync(room_.weight, 0, static_cast<size_t>(rows * ld) * 2, stream), "clearing a weight's padding");
    if (w.format == WeightFormat::nf4) dequantize_nf4(stream, w, first, count, room_.weight, ld);
    else narrow_weight(stream, w, first, count, room_.weight, ld);
    return {room_.weight, ld};
}

// multiply(first row of x, rows, first row of w, rows, the slab), with x's rows in the workspace.
template <class F>
void Products::in_pieces(cudaStream_t stream, const View& x, const Weight& weight, int64_t ld, F&& multiply) {
    const int64_t chunk = chunk_rows(ld), slabs = slab_rows(weight);
    for (int64_t row = 0; row < x.rows; row += chunk) {
        const int64_t rows = std::min(chunk, x.rows - row);
        narrow_rows(stream, row_range(x, row, rows), room_.rows, ld);
        for (int64_t first = 0; first < weight.rows; first += slabs) {
            const int64_t count = std::min(slabs, weight.rows - first);
            multiply(row, rows, first, count, slab(stream, weight, first, count));
        }
    }
}

void Products::linear(cudaStream_t stream, const LinearArgs& t) {
    const int64_t ld = padded(t.w.cols);
    in_pieces(stream, t.x, t.w, ld, [&](int64_t row, int64_t rows, int64_t first, int64_t count, const Slab& w) {
        product_->multiply(stream, {rows, count, ld, room_.rows, ld, w.data, w.ld, true, t.y.row(row) + first, t.y.ld, false});
    });
    finish_linear(stream, t.y, t.bias, t.lora_xa, t.lora_b, t.lora_scale, t.activation, t.pre);
}

// The sum runs over the weight's rows, so slabs add up in dx.
void Products::linear_dx(cudaStream_t stream, const LinearDxArgs& t) {
    const int64_t ld = padded(t.w.rows);
    in_pieces(stream, t.dy, t.w, ld, [&](int64_t row, int64_t rows, int64_t first, int64_t count, const Slab& w) {
        product_->multiply(stream, {rows, t.w.cols, padded(count), room_.rows + first, ld, w.data, w.ld, false, t.dx.row(row), t.dx.ld, t.accumulate || first > 0});
    });
    if (t.lora_dxa) add_low_rank(stream, t.lora_dxa, t.lora_a, t.dx);
}

// Patches of a run of pixels are gathered just before they are multiplied; the whole matrix of patches never exists.
void Products::conv2d(cudaStream_t stream, const Conv2dArgs& t) {
    const int64_t out_width = (t.width + t.pad_left + t.pad_right - t.kernel) / t.stride + 1;
    const Weight weight{WeightFormat::f32, t.y.cols, t.kernel * t.kernel * t.x.cols, t.weight, {}};
    const int64_t ld = padded(weight.cols), chunk = chunk_rows(ld), slabs = slab_rows(weight);
    for (int64_t first = 0; first < weight.rows; first += slabs) {
        const int64_t count = std::min(slabs, weight.rows - first);
        const Slab w = slab(stream, weight, first, count);
        for (int64_t pixel = 0; pixel < t.y.rows; pixel += chunk) {
            const int64_t pixels = std::min(chunk, t.y.rows - pixel);
            gather_patches(stream, t, out_width, pixel, pixels, room_.rows, ld);
            product_->multiply(stream, {pixels, count, ld, room_.rows, ld, w.data, w.ld, true, t.y.row(pixel) + first, t.y.ld, false});
        }
    }
    finish_conv(stream, t.y, t.bias, t.residual);
}

} // namespace atelier::ATELIER_CUDA_NS
