// Linears with their branches, and both as ops of a program: what need not be computed is decided here once.
#pragma once
#include "adapters/branch.h"
#include "memory/constants.h"
#include "ops/ops.h"
#include "program/program.h"
#include "tensor/weight.h"

namespace atelier {

struct Linear {
    Weight w; // (out, in)
    const float* bias = nullptr;
    LoraSlot lora;
    bool adapted() const { return lora.given(); }
    bool trained() const { return lora.trained(); }
};

// Of the weight and its bias, as they are packed for a device.
inline uint64_t bias_bytes(const Linear& linear) {
    return packed_bytes(static_cast<uint64_t>(linear.w.rows) * sizeof(float));
}
inline uint64_t linear_bytes(const Linear& linear) { return packed_bytes(linear.w) + bias_bytes(linear); }
inline uint64_t widened_linear_bytes(const Linear& linear) {
    return bias_bytes(linear) +
           (linear.w.format == WeightFormat::nf4 ? widened_bytes(linear.w) : packed_bytes(linear.w));
}

// y = activation(x · Wᵀ + bias + low-rank branch); `pre` keeps the value before the activation. Returns x · Aᵀ, which
// backward needs, or null without a branch.
Sym emit_linear(Program& program, const Linear& linear, const Sym& x, const Sym& y,
    Activation activation = Activation::none, const Sym& pre = {});

// x · Aᵀ alone, or null without a branch: what backward needs when the linear itself need not run again.
Sym emit_lora_down(Program& program, const Linear& linear, const Sym& x);

// Gradients of A and B where the linear is trained (x and xa are read only then), and dx (+)= dy · W + … where dx is
// given.
void emit_linear_bwd(Program& program, const Linear& linear, const Sym& x, const Sym& xa, const Sym& dy, const Sym& dx,
    bool accumulate = false);

} // namespace atelier
