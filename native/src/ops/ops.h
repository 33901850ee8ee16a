// The ops every backend implements: the only seam between models and machines. Models emit them into a Program and
// never know which backend runs; per-element arithmetic lives in ops/math so that both compilers share it.
//
// Conventions. Matrices are tokens x features, row-major, leading dimension `ld`. One sequence at a time (no batch
// axis): a batch is several emissions. `x_bwd` takes the upstream gradient first. Outputs are overwritten unless a flag
// says accumulate. No op allocates: scratch is a View the caller emitted, or the backend's own fixed workspace
// (workspace_bytes()).
//
// Types. A View is f32 unless said otherwise. Where activations() is bf16, activations and their gradients (tokens x
// features: x, y, pre, dy, dx, q, k, v, o, dout, dq, dk, dv, branch, r, dr; pixels x channels) may be bf16 instead in
// FLUX's blocks, elementwise ops, linears, low-rank products, attention, convolutions and group norm. One op's are of
// one type, except that linear, linear_dx and conv2d may read one and write the other. Rows of modulation, statistics,
// tables, low-rank matrices, latents, the loss, optimizer states and text encoders are always f32. Sums are fp32
// everywhere.
#pragma once
#include "memory/memory.h"
#include "memory/widener.h"
#include "tensor/view.h"
#include "tensor/weight.h"
#include <cstdint>

namespace atelier {

enum class Activation : uint8_t { none, gelu_tanh, silu, quick_gelu, gelu_erf };

struct LinearArgs {
    View x; // (M, K)
    Weight w; // (N, K)
    const float* bias = nullptr; // N
    Activation activation = Activation::none;
    View lora_xa; // (M, rank) = x · Aᵀ, made by lora_down; null without LoRA
    View lora_b; // (N, rank)
    float lora_scale = 1; // alpha/rank, and the adapter's weight: folded in here and nowhere else
    View y; // (M, N), after the activation
    View pre; // (M, N) before the activation, null unless backward needs it
};

// dx (+)= dy · W + dxa · A. The LoRA part takes dxa = scale · dy · B, made by lora_grad. An activation is undone
// before, by activation_bwd.
struct LinearDxArgs {
    View dy; // (M, N)
    Weight w; // (N, K)
    View lora_dxa, lora_a; // (M, rank), (rank, K); null without LoRA
    View dx; // (M, K)
    bool accumulate = false;
};

struct LoraGradArgs {
    View x, xa, dy; // (M, K), (M, rank), (M, N)
    View b; // (N, rank)
    float scale = 1;
    View dxa; // (M, rank) out: scale · dy · B, also the input of linear_dx
    View da, db; // (rank, K), (N, rank): accumulated into
};

struct AttentionArgs {
    View q, k, v, o; // (Sq or Sk, heads*dim), head h in columns [h*dim, (h+1)*dim)
    View lse; // (heads, Sq) log-sum-exp of the scaled scores; null when no backward follows
    int64_t heads = 0, dim = 0;
    float scale = 1;
    bool causal = false;
    const float* bias = nullptr; // (heads, Sq, Sk) added to the scaled scores, or null (T5's relative positions)
};

struct AttentionBwdArgs {
    View dout; // gradient of o
    View q, k, v, o, lse;
    View dq, dk, dv; // overwritten; may not alias q, k, v
    View delta; // (heads, Sq) scratch: rowsum(dout ⊙ o)
    int64_t heads = 0, dim = 0;
    float scale = 1;
};

struct Conv2dArgs {
    View x; // (H*W, Cin), channels last
    int64_t height = 0, width = 0;
    bool upsampled = false; // x is (H/2*W/2, Cin), and each of its pixels is read as two by two: nearest neighbour
                            // without the large matrix
    Weight weight; // (Cout, kh·kw·Cin), not quantised: repacked from (Cout, Cin, kh, kw) at load
    const float* bias = nullptr;
    int64_t kernel = 3, stride = 1;
    int64_t pad_top = 1, pad_left = 1, pad_bottom = 1, pad_right = 1;
    View residual; // added to the result, or null
    View y; // (Hout*Wout, Cout)
};

// Adam with decoupled weight decay; the exact order of operations is bitsandbytes' (8-bit and its 32-bit path) or
// PyTorch's.
struct AdamArgs {
    double lr = 0, beta1 = 0.9, beta2 = 0.999, eps = 1e-8,
           weight_decay = 0; // double as in Python: 1 - beta2 loses five digits in float
    int64_t step = 1; // counts from 1
    float grad_scale = 1; // clipping, applied to the gradient first
};

class Ops {
public:
    virtual ~Ops() = default;
    virtual const char* name() const = 0;
    virtual int threads() const = 0; // of the host: what is prepared for this backend may use as many
    virtual uint64_t workspace_bytes() const = 0; // fixed at construction, counted in every plan
    virtual Memory& memory() = 0; // where Views point
    virtual DType activations() const {
        return DType::f32;
    } // what models should give their large matrices and those matrices' gradients

    // Null where NF4 weights are never widened. A linear gives the same bits for what it makes of a weight as for the
    // weight itself.
    virtual Widener* widener() { return nullptr; }

    // -- matrix products -------------------------------------------------------------------------------------------
    virtual void linear(const LinearArgs&) = 0;
    virtual void linear_dx(const LinearDxArgs&) = 0;
    virtual void lora_down(const View& x, const View& a, const View& xa) = 0; // xa = x · Aᵀ
    virtual void lora_grad(const LoraGradArgs&) = 0;
    virtual void attention(const AttentionArgs&) = 0;
    virtual void attention_bwd(const AttentionBwdArgs&) = 0;
    virtual void conv2d(const Conv2dArgs&) = 0;

    // -- FLUX blocks ---------------------------------------------------------------------------------------------
    // r = x + gate ⊙ branch (gate and branch null: r = x); y = LN(r) ⊙ (1 + scale) + shift, eps 1e-6, no affine part.
    // gate, shift, scale: one row of `cols` values. r may alias x; r null when gate is. stats (rows, 2): mean, 1/std;
    // null if unused.
    virtual void gated_norm_modulate(const View& x, const View& gate, const View& branch, const View& shift,
        const View& scale, float eps, const View& r, const View& y, const View& stats) = 0;
    // dr += d LN(r)⊙(1+scale) / d r applied to dy. `dr` holds the residual's gradient already (zeros if there is none).
    virtual void norm_modulate_bwd(
        const View& dy, const View& r, const View& scale, const View& stats, const View& dr) = 0;
    // r = x + gate ⊙ branch
    virtual void gated_residual(const View& x, const View& gate, const View& branch, const View& r) = 0;
    // y = gate ⊙ x: the branch's share of a gated residual's gradient, and nothing else
    virtual void mul_row(const View& x, const View& gate, const View& y) = 0;
    // out (1, cols) += sum over rows of x ⊙ y, y null: of x: the gradient of a row that every token shares. Rows in
    // order.
    virtual void column_dot(const View& x, const View& y, const View& out) = 0;
    // Per head: RMSNorm(x)·weight (weight: dim values), then RoPE on neighbour pairs; cos, sin: (rows, dim). y may
    // alias x.
    virtual void qk_norm_rope(const View& x, const float* weight, const View& cos, const View& sin, int64_t heads,
        float eps, const View& y) = 0;
    virtual void qk_norm_rope_bwd(const View& dy, const View& x, const float* weight, const View& cos, const View& sin,
        int64_t heads, float eps, const View& dx) = 0; // x: before the norm; dx may alias dy
    virtual void activation(const View& x, Activation kind, const View& y) = 0;
    virtual void activation_bwd(
        const View& dy, const View& x, Activation kind, const View& dx) = 0; // x: before it; dx may alias dy

    // -- encoders and VAE ------------------------------------------------------------------------------------------
    virtual void layer_norm(const View& x, const float* weight, const float* bias, float eps, const View& y) = 0;
    virtual void rms_norm(const View& x, const float* weight, float eps, const View& y) = 0;
    virtual void group_norm(const View& x, const float* weight, const float* bias, int64_t groups, float eps,
        Activation then, const View& y) = 0;
    virtual void embedding(const View& ids /* i32 (n,1) */, const Weight& table, const View& y) = 0;

    // -- elementwise ---------------------------------------------------------------------------------------------
    virtual void copy(const View& x, const View& y) = 0;
    virtual void fill(const View& y, float value) = 0;
    virtual void add(const View& x, const View& y, const View& out) = 0; // out may alias either
    virtual void mul(const View& x, const View& y, const View& out) = 0;

    // -- diffusion and optimisation ----------------------------------------------------------------------------------
    // noisy = (1 - sigma)·latents + sigma·noise
    virtual void flow_noise(
        const View& latents, const View& noise, const View& sigma /* (1,1) */, const View& noisy) = 0;
    // loss (1,1) = mean(weight·(pred - (noise - latents))²); dpred = grad_scale · d loss / d pred. Reduction in a fixed
    // order, fp64.
    virtual void flow_loss(const View& pred, const View& latents, const View& noise, const View& weight /* (1,1) */,
        float grad_scale, const View& loss, const View& dpred) = 0;
    // The same with weight·2c(sqrt(error² + c²) - c) in place of weight·error²; math/flow.h.
    virtual void huber_loss(const View& pred, const View& latents, const View& noise,
        const View& weight_and_c /* (1,2) */, float grad_scale, const View& loss, const View& dpred) = 0;
    virtual void euler_step(
        const View& latents, const View& velocity, float sigma, float sigma_next, const View& out) = 0;
    // sqrt of the sum of squares, fixed order
    virtual double l2_norm(const View& x) = 0;
    virtual void adamw(
        const AdamArgs&, const View& param, const View& grad, const View& m, const View& v) = 0; // PyTorch's
    virtual void adamw_bnb32(const AdamArgs&, const View& param, const View& grad, const View& m,
        const View& v) = 0; // bitsandbytes', 32-bit states
    virtual void adamw8bit(const AdamArgs&, const View& param, const View& grad, const View& m8,
        const View& v8, // u8 (n,1)
        const View& m_absmax, const View& v_absmax) = 0; // f32 (ceil(n/256),1)
};

} // namespace atelier
