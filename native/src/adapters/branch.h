// The low-rank branch of a linear, as ops of a program. Its last product is no op of its own: records/products.h adds
// it where the linear is computed, so that the output is written once.
#pragma once
#include "program/program.h"

namespace atelier {

// y += scale · (x · Aᵀ) · Bᵀ. Gradients only while training.
struct LoraSlot {
    View a, b;   // (rank, in), (out, rank); in plans without data
    View da, db; // the same shapes, accumulated into; without rows at inference
    float scale = 1;
    bool given() const { return a.rows > 0; }
    bool trained() const { return da.rows > 0; }
};

// x · Aᵀ, or null without a branch.
Sym emit_branch_down(Program&, const LoraSlot&, const Sym& x);

// Gradients of A and B where the branch is trained (x and xa are read only then). Returns scale · dy · B, through which
// dx goes on, or null.
Sym emit_branch_gradient(Program&, const LoraSlot&, const Sym& x, const Sym& xa, const Sym& dy);

} // namespace atelier
