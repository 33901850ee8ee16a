#include "adapters/branch.h"
#include "program/records/products.h"

namespace atelier {

Sym emit_branch_down(Program& program, const LoraSlot& lora, const Sym& x) {
    if (!lora.given()) return {};
    const Sym xa = program.temp(x.rows, lora.a.rows, "lora xa");
    program.emit(op::LoraDown{x, lora.a, xa});
    return xa;
}

Sym emit_branch_gradient(Program& program, const LoraSlot& lora, const Sym& x, const Sym& xa, const Sym& dy) {
    if (!lora.trained()) return {};
    const Sym dxa = program.temp(dy.rows, lora.a.rows, "lora dxa");
    program.emit(op::LoraGrad{x, xa, dy, lora.b, lora.scale, dxa, lora.da, lora.db});
    return dxa;
}

} // namespace atelier
