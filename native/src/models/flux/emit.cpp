#include "models/flux/emit.h"
#include "program/records/products.h"

namespace atelier {

Sym emit_lora_down(Program& program, const Linear& linear, const Sym& x) {
    if (!linear.adapted()) return {};
    const Sym xa = program.temp(x.rows, linear.lora.a.rows, "lora xa");
    program.emit(op::LoraDown{x, linear.lora.a, xa});
    return xa;
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
    const LoraSlot& lora = linear.lora;
    Sym dxa;
    if (linear.trained()) {
        dxa = program.temp(dy.rows, lora.a.rows, "lora dxa");
        program.emit(op::LoraGrad{x, xa, dy, lora.b, lora.scale, dxa, lora.da, lora.db});
    }
    if (dx) program.emit(op::LinearDx{dy, linear.w, dxa, dxa ? lora.a : View{}, dx, accumulate ? dx : Sym{}});
}

} // namespace atelier
