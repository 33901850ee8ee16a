// Linears and their gradients as ops of a program: the low-rank branch, and what need not be computed, are decided here
// once.
#pragma once
#include "models/flux/layers.h"
#include "ops/ops.h"
#include "program/program.h"

namespace atelier {

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
