// What goes into a matrix product, as bf16: rows of activations, dense weights, patches of a convolution. And table
// rows, which are widened.
#include "ops/cuda/index_maps.h"
#include "ops/cuda/kernels.h"
#include "ops/cuda/nf4_codes.h"
#include "ops/cuda/typed.h"

namespace atelier::ATELIER_CUDA_NS {
namespace {

// -- arithmetic
// ------------------------------------------------------------------------------------------------------------------------

__device__ inline float dense_element(const Weight& w, int64_t index) {
    switch (w.format) {
        case WeightFormat::f32: return static_cast<const float*>(w.dense)[index];
        case WeightFormat::f16: return f16_to_float(static_cast<const uint16_t*>(w.dense)[index]);
        default: return bf16_to_float(static_cast<const uint16_t*>(w.dense)[index]);
    }
}

template <class T, int W>
__global__ void narrow_kernel(Rows<T> x, uint16_t* out, int64_t ld) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), ld / W, kThreads);
    const int64_t col = W * at.col;
    if (col < ld) store(out + at.row * ld + col, col < x.cols ? load<W>(x.row(at.row) + col) : Pack<W>{});
}

__global__ void weight_kernel(Weight w, WeightPart part, uint16_t* out, int64_t ld) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), ld, kThreads);
    if (at.col >= ld) return;
    out[at.row * ld + at.col] = at.col < part.cols
                                    ? float_to_bf16(dense_element(w, (part.row + at.row) * w.cols + part.col + at.col))
                                    : uint16_t{0};
}

template <class T>
__global__ void patches_kernel(Rows<T> x, Conv2dArgs t, int64_t out_width, int64_t first, uint16_t* out, int64_t ld) {
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), ld, kThreads);
    if (at.col >= ld) return;
    float v = 0;
    if (at.col < t.kernel * t.kernel * x.cols) {
        const maps::Tap tap =
            maps::conv_tap(first + at.row, at.col, out_width, x.cols, t.kernel, t.stride, t.pad_top, t.pad_left);
        const int half = t.upsampled; // two by two pixels read one
        if (tap.y >= 0 && tap.y < t.height && tap.x >= 0 && tap.x < t.width)
            v = widened(x.row((tap.y >> half) * (t.width >> half) + (tap.x >> half))[tap.channel]);
    }
    out[at.row * ld + at.col] = float_to_bf16(v);
}

__global__ void embedding_kernel(View ids, Weight table, const __grid_constant__ Nf4Codes codes, View y) {
    const float* const code = shared_table(codes);
    const maps::Cell at = maps::element_cell(blockIdx.x, static_cast<int>(threadIdx.x), y.cols, kThreads);
    if (at.col >= y.cols) return;
    const int64_t index = static_cast<const int32_t*>(ids.data)[at.row * ids.ld] * table.cols + at.col;
    float v;
    if (table.format == WeightFormat::nf4) {
        const uint8_t byte = table.nf4.packed[index / 2];
        v = code[index & 1 ? byte & 15 : byte >> 4] * table.nf4.block_scale(table.nf4.block_of(index));
    } else v = dense_element(table, index);
    y.row(at.row)[at.col] = v;
}

} // namespace

// -- launches
// --------------------------------------------------------------------------------------------------------------------------

void narrow_rows(cudaStream_t stream, const View& x, uint16_t* out, int64_t ld) {
    with_type_and_width(x.dtype, wide({x}), [&]<class T, int W>() {
        launch(stream, maps::element_blocks(x.rows, ld / W, kThreads), kThreads, 0, narrow_kernel<T, W>, Rows<T>(x),
            out, ld);
    });
}

void narrow_weight(cudaStream_t stream, const Weight& w, const WeightPart& part, uint16_t* out, int64_t ld) {
    launch(stream, maps::element_blocks(part.rows, ld, kThreads), kThreads, 0, weight_kernel, w, part, out, ld);
}

void gather_patches(cudaStream_t stream, const Conv2dArgs& t, int64_t out_width, int64_t first, int64_t pixels,
    uint16_t* out, int64_t ld) {
    with_type(t.x.dtype, [&]<class T>() {
        launch(stream, maps::element_blocks(pixels, ld, kThreads), kThreads, 0, patches_kernel<T>, Rows<T>(t.x), t,
            out_width, first, out, ld);
    });
}

void embedding(cudaStream_t stream, const View& ids, const Weight& table, const View& y) {
    only_f32("embedding", {y});
    launch(stream, maps::element_blocks(y.rows, y.cols, kThreads), kThreads, sizeof(Nf4Codes), embedding_kernel, ids,
        table, nf4_codes(), y);
}

} // namespace atelier::ATELIER_CUDA_NS
