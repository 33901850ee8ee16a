// The kernels' entry points, one file of them a subject. All take device memory and return before the work is done.
#pragma once
#include "ops/cuda/device.h"
#include "ops/cuda/matrix_product.h"
#include "ops/math/adam.h"
#include "ops/ops.h"

namespace atelier::ATELIER_CUDA_NS {

// rows.cu; semantics as in ops.h
void gated_norm_modulate(cudaStream_t, const View& x, const View& gate, const View& branch, const View& shift,
    const View& scale, float eps, const View& r, const View& y, const View& stats);
void norm_modulate_bwd(
    cudaStream_t, const View& dy, const View& r, const View& scale, const View& stats, const View& dr);
void affine_norm(cudaStream_t, const View& x, const float* weight, const float* bias, float eps, bool centred,
    const View& y); // layer norm, or RMS norm
void qk_norm_rope(cudaStream_t, const View& x, const float* weight, const View& cos, const View& sin, int64_t heads,
    float eps, const View& y);
void qk_norm_rope_bwd(cudaStream_t, const View& dy, const View& x, const float* weight, const View& cos,
    const View& sin, int64_t heads, float eps, const View& dx);

// elements.cu
void gated_residual(cudaStream_t, const View& x, const View& gate, const View& branch, const View& r);
void mul_row(cudaStream_t, const View& x, const View& gate, const View& y);
void activation(cudaStream_t, const View& x, Activation, const View& y);
void activation_bwd(cudaStream_t, const View& dy, const View& x, Activation, const View& dx);
void copy(cudaStream_t, const View& x, const View& y);
void fill(cudaStream_t, const View& y, float value);
void add(cudaStream_t, const View& x, const View& y, const View& out);
void mul(cudaStream_t, const View& x, const View& y, const View& out);
void flow_noise(cudaStream_t, const View& latents, const View& noise, const View& sigma, const View& noisy);
void euler_step(cudaStream_t, const View& latents, const View& velocity, float dt, const View& out);

// sums.cu: partial sums in double, in an order that depends on the shape alone
constexpr int64_t kPartials = 1024; // doubles that `partials` holds
void column_dot(cudaStream_t, const View& x, const View& y, const View& out);
void flow_loss(cudaStream_t, const View& pred, const View& latents, const View& noise, const View& weight,
    float grad_scale, const View& loss, const View& dpred, double* partials);
void huber_loss(cudaStream_t, const View& pred, const View& latents, const View& noise, const View& weight_and_c,
    float grad_scale, const View& loss, const View& dpred, double* partials);
void sum_of_squares(cudaStream_t, const View& x, double* partials); // the sum is partials[0]

// adamw.cu
void adamw(
    cudaStream_t, const AdamStep&, bool bnb32, const View& param, const View& grad, const View& m, const View& v);
struct DynamicTables { // on the device
    const float *signed_values, *unsigned_values;
    const uint8_t *signed_codes, *unsigned_codes;
};
void adamw8bit(cudaStream_t, const AdamStep&, const DynamicTables&, const View& param, const View& grad, const View& m8,
    const View& v8, const View& m_absmax, const View& v_absmax);

// A block of a weight: rows [row, row + rows), columns [col, col + cols).
struct WeightPart {
    int64_t row, rows, col, cols;
};

// dequant.cu: part of an NF4 matrix to bf16 rows at `ld`; at memory speed where columns begin and end on multiples of
// 64
void dequantize_nf4(cudaStream_t, const Weight& w, const WeightPart&, uint16_t* out, int64_t ld);

// row_product.cu: y = x · wᵀ for a few rows of x and a weight in NF4, read once as it is; what such a product is
bool row_product_runs(const View& x, const Weight& w, const View& y);
void row_product(cudaStream_t, const View& x, const Weight& w, const View& y);

// fp8.cu: operands of matrix products as e4m3, times the matrix's scale. Weights are NF4 with columns in multiples of
// 64 and `packed` on 16 bytes. *scale = what e4m3_scale() makes of the largest magnitude, of NF4 the largest block's
// scale; partials: kPartials floats
void e4m3_scale_of(cudaStream_t, const View& x, float* partials, float* scale);
void e4m3_scale_of(cudaStream_t, const Weight& w, float* partials, float* scale);
void narrow_rows_e4m3(cudaStream_t, const View& x, const float* scale, uint8_t* out, int64_t ld); // ld, out: on 4 bytes
void nf4_rows_e4m3(
    cudaStream_t, const Weight& w, int64_t first, int64_t rows, const float* scale, uint8_t* out); // (rows, w.cols)
// (cols, w.rows), turned: w.rows are a multiple of 16, first and cols of 64
void nf4_columns_e4m3(cudaStream_t, const Weight& w, int64_t first, int64_t cols, const float* scale, uint8_t* out);

// staging.cu: operands of matrix products as bf16 rows at `ld`, which the tensor cores want to be a multiple of 8; what
// lies beyond a row or below the last is zero
void narrow_rows(cudaStream_t, const View& x, uint16_t* out,
    int64_t ld); // x: fp32, or bf16 whose rows the product cannot take as they lie
void narrow_weight(cudaStream_t, const Weight& w, const WeightPart&, uint16_t* out, int64_t ld); // of a dense weight
void gather_patches(
    cudaStream_t, const Conv2dArgs& t, int64_t out_width, int64_t first, int64_t pixels, uint16_t* out, int64_t ld);
void embedding(cudaStream_t, const View& ids, const Weight& table, const View& y);

// epilogue.cu: what is done to a product's fp32 sums after it; they may be where the result goes
// v = sum + bias + scale · xa · bᵀ, rounded to y's type; pre = v; y = activation(v). bias, xa and b, pre may be null.
void finish_linear(cudaStream_t, const View& sum, const float* bias, const View& xa, const View& b, float scale,
    Activation, const View& y, const View& pre);
void finish_dx(cudaStream_t, const View& sum, const View& dxa, const View& a, bool accumulate,
    const View& dx); // dx (+)= sum + dxa · a
void finish_conv(cudaStream_t, const View& sum, const float* bias, const View& residual,
    const View& y); // y = sum + bias + residual, both may be null

// group_norm.cu. partials: kPartials doubles; stats: (groups, 2) floats
constexpr int64_t kMostGroups = kPartials / 8;
void group_norm(cudaStream_t, const View& x, const float* weight, const float* bias, int64_t groups, float eps,
    Activation, const View& y, double* partials, float* stats);

// lora.cu: the low-rank products, in fp32; x may be bf16
void rows_times_rows(
    cudaStream_t, const View& x, const View& a, float scale, const View& out); // out = scale · x · aᵀ: x · Aᵀ
void rows_times_columns(
    cudaStream_t, const View& x, const View& b, float scale, const View& out); // out = scale · x · b: dy · B
// out (+)= scale · pᵀ · x, `transposed`: its transpose is written. partials: `room` floats.
void sum_outer(cudaStream_t, const View& p, const View& x, float scale, bool transposed, const View& out,
    float* partials, int64_t room);

} // namespace atelier::ATELIER_CUDA_NS
