#include "models/flux/network.h"
#include "program/records/blocks.h"
#include "program/records/elements.h"

namespace atelier {
namespace {

enum { kShift, kScale, kGate };

} // namespace

SingleTape FluxNetwork::single_forward(int64_t block, const Sym& in, const Sym& out, Emit emit) {
    const SingleBlock& l = layers_.singles[static_cast<size_t>(block)];
    const int64_t S = shape_.tokens(), column = at_.single_at(block);
    const bool saving = emit != Emit::output, tape_only = emit == Emit::tape, gates = dmodulation(column, 0) && saving;
    SingleTape tape;
    tape.input = in;
    tape.q = temp(S, d_, "q");
    tape.k = temp(S, d_, "k");
    tape.v = temp(S, d_, "v");
    const Sym normed = temp(S, d_, "modulated");
    modulate(in, column, kShift, kScale, normed);
    tape.xa_q = emit_linear(program_, l.q, normed, tape.q);
    tape.xa_k = emit_linear(program_, l.k, normed, tape.k);
    tape.xa_v = emit_linear(program_, l.v, normed, tape.v);
    const Sym q = saving ? temp(S, d_, "q rotated") : tape.q, k = saving ? temp(S, d_, "k rotated") : tape.k;
    norm_rope(tape.q, l.norm_q, 0, q);
    norm_rope(tape.k, l.norm_k, 0, k);

    // proj_out takes [attention, gelu(mlp)] side by side.
    const bool whole = !tape_only || gates || l.out.trained();
    const Sym joined = whole ? temp(S, d_ + hidden_, "attention and MLP") : Sym{};
    if (saving) {
        tape.lse = exact(layers_.dims.heads, S, "log-sum-exp");
        tape.o = temp(S, d_, "attention");
        if (keep(at_.doubles + block) != BlockKeep::attention) tape.pre = temp(S, hidden_, "MLP pre-activation");
    }
    const Sym o = saving ? tape.o : joined.col_range(0, d_);
    attention(q, k, tape.v, o, tape.lse);
    if (!whole) {
        tape.xa_mlp = emit_linear(program_, l.mlp, normed, tape.pre);
        return tape;
    }
    tape.xa_mlp = emit_linear(program_, l.mlp, normed, joined.col_range(d_, hidden_), Activation::gelu_tanh, tape.pre);
    if (saving) program_.emit(op::Copy{o, joined.col_range(0, d_)});
    if (tape_only && !gates) {
        tape.xa_out = emit_lora_down(program_, l.out, joined);
        return tape;
    }
    const Sym branch = gates ? (tape.branch = temp(S, d_, "branch")) : normed;
    tape.xa_out = emit_linear(program_, l.out, joined, branch);
    if (!tape_only) program_.emit(op::GatedResidual{in, modulation(column, kGate), branch, out});
    return tape;
}

void FluxNetwork::single_backward(int64_t block, const SingleTape& kept, const Sym& dout) {
    const SingleBlock& l = layers_.singles[static_cast<size_t>(block)];
    const int64_t S = shape_.tokens(), column = at_.single_at(block);
    const bool table_gradient = static_cast<bool>(dmodulation(column, 0)), below = below_single(block);
    const bool attention_wanted = l.q.trained() || l.k.trained() || l.v.trained() || table_gradient || below,
               mlp_wanted = attention_wanted || l.mlp.trained();
    SingleTape tape = kept;
    Sym normed, stats;
    const auto normalise = [&] {
        normed = temp(S, d_, "modulated");
        stats = exact(S, 2, "stats");
        modulate(tape.input, column, kShift, kScale, normed, stats);
    };
    if (!tape.pre && (mlp_wanted || l.out.trained())) {
        normalise();
        tape.pre = temp(S, hidden_, "MLP pre-activation");
        tape.xa_mlp = emit_linear(program_, l.mlp, normed, tape.pre);
    }
    const Sym dnormed = temp(S, d_, "dmodulated"), djoined = temp(S, d_ + hidden_, "dattention and dMLP");
    through_gate(dout, modulation(column, kGate), tape.branch, dmodulation(column, kGate), dnormed);
    Sym joined;
    if (l.out.trained()) {
        joined = temp(S, d_ + hidden_, "attention and MLP");
        const Sym left = joined.col_range(0, d_), right = joined.col_range(d_, hidden_);
        program_.emit(op::Copy{tape.o, left});
        program_.emit(op::Activate{tape.pre, Activation::gelu_tanh, right});
    }
    emit_linear_bwd(program_, l.out, joined, tape.xa_out, dnormed, djoined);
    if (!mlp_wanted) return;

    const Sym dmlp = djoined.col_range(d_, hidden_);
    program_.emit(op::ActivateBwd{dmlp, tape.pre, Activation::gelu_tanh, dmlp});
    if (!normed) normalise();
    const Sym dx = below || table_gradient ? dnormed : Sym{};
    emit_linear_bwd(program_, l.mlp, normed, tape.xa_mlp, dmlp, dx);
    if (!attention_wanted) return;

    const Sym q = temp(S, d_, "q rotated"), k = temp(S, d_, "k rotated");
    norm_rope(tape.q, l.norm_q, 0, q);
    norm_rope(tape.k, l.norm_k, 0, k);
    const Sym dq = temp(S, d_, "dq"), dk = temp(S, d_, "dk"), dv = temp(S, d_, "dv");
    attention_bwd(djoined.col_range(0, d_), q, k, tape.v, tape.o, tape.lse, dq, dk, dv);
    norm_rope_bwd(dq, tape.q, l.norm_q, 0);
    norm_rope_bwd(dk, tape.k, l.norm_k, 0);
    emit_linear_bwd(program_, l.q, normed, tape.xa_q, dq, dx, true);
    emit_linear_bwd(program_, l.k, normed, tape.xa_k, dk, dx, true);
    emit_linear_bwd(program_, l.v, normed, tape.xa_v, dv, dx, true);
    if (dx) modulate_bwd(dx, tape.input, column, kShift, kScale, stats, table_gradient, below ? dout : Sym{});
}

} // namespace atelier
