#include "models/flux/emit.h"

namespace atelier {

Sym emit_lora_down(Program& program, const Linear& linear, const Sym& x) {
    if (!linear.adapted()) return {};
    const View a = linear.lora.a;
    const Sym xa = program.temp(x.rows, a.rows, "lora xa");
    program.emit("lora_down", {x, xa}, [=](Ops& ops, const Program::Resolver& at) { ops.lora_down(at(x), a, at(xa)); });
    return xa;
}

Sym emit_linear(
    Program& program, const Linear& linear, const Sym& x, const Sym& y, Activation activation, const Sym& pre) {
    const LoraSlot lora = linear.lora;
    const Sym xa = emit_lora_down(program, linear, x);
    program.emit(
        "linear", {x, y, pre, xa}, [=, w = linear.w, bias = linear.bias](Ops& ops, const Program::Resolver& at) {
            LinearArgs args;
            args.x = at(x);
            args.w = at(w);
            args.bias = at(bias);
            args.activation = activation;
            args.lora_xa = at(xa);
            args.lora_b = lora.b;
            args.lora_scale = lora.scale;
            args.y = at(y);
            args.pre = at(pre);
            ops.linear(args);
        });
    return xa;
}

void emit_linear_bwd(Program& program, const Linear& linear, const Sym& x, const Sym& xa, const Sym& dy, const Sym& dx,
    bool accumulate) {
    const LoraSlot lora = linear.lora;
    Sym dxa;
    if (linear.trained()) {
        dxa = program.temp(dy.rows, lora.a.rows, "lora dxa");
        program.emit("lora_grad", {x, xa, dy, dxa}, [=](Ops& ops, const Program::Resolver& at) {
            LoraGradArgs args;
            args.x = at(x);
            args.xa = at(xa);
            args.dy = at(dy);
            args.b = lora.b;
            args.scale = lora.scale;
            args.dxa = at(dxa);
            args.da = lora.da;
            args.db = lora.db;
            ops.lora_grad(args);
        });
    }
    if (!dx) return;
    program.emit("linear_dx", {dy, dxa, dx}, [=, w = linear.w](Ops& ops, const Program::Resolver& at) {
        LinearDxArgs args;
        args.dy = at(dy);
        args.w = at(w);
        args.lora_dxa = at(dxa);
        if (dxa) args.lora_a = lora.a;
        args.dx = at(dx);
        args.accumulate = accumulate;
        ops.linear_dx(args);
    });
}

} // namespace atelier
