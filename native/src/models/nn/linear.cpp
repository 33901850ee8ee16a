#include "models/nn/linear.h"
#include "program/records/products.h"

namespace atelier {

Sym emit_lora_down(Program& program, const Linear& linear, const Sym& x) {
    return emit_branch_down(program, linear.lora, x);
}

Sym emit_linear(
    Program& program, const Linear& linear, const Sym& x, const Sym& y, Activation activation, const Sym& pre) {
    const LoraSlot& lora = linear.lora;
    const Sym xa = emit_lora_down(program, linear, x);
    program.emit(op::Linear{x, linear.w, linear.bias, activation, xa, lora.b, lora.scale, y, pre});
    return xa;
}

void emit_linear_bwd(Program& program, const Linear& linear, const Sym& x, const Sym& xa, const Sym& dy, const Sym& dx,
    bool accumulate) {
    const Sym dxa = emit_branch_gradient(program, linear.lora, x, xa, dy);
    if (dx) program.emit(op::LinearDx{dy, linear.w, dxa, dxa ? linear.lora.a : View{}, dx, accumulate ? dx : Sym{}});
}

} // namespace atelier
