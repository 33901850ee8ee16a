#include "models/flux/network.h"
#include "program/records/blocks.h"

namespace atelier {
namespace {

// Rows of a double block's modulation.
enum { kShiftAttention, kScaleAttention, kGateAttention, kShiftMlp, kScaleMlp, kGateMlp };

} // namespace

std::array<FluxNetwork::Side, 2> FluxNetwork::sides(int64_t block) const {
    const DoubleBlock& b = layers_.doubles[static_cast<size_t>(block)];
    return {Side{b.txt, block, true, 0, shape_.text_tokens},
        Side{b.img, block, false, shape_.text_tokens, shape_.image_tokens()}};
}

DoubleTape FluxNetwork::double_forward(int64_t block, const Sym& in, const Sym& out, Emit emit) {
    const int64_t S = shape_.tokens();
    const bool saving = emit != Emit::output, tape_only = emit == Emit::tape,
               keep_pre = saving && keep(block) != BlockKeep::attention;
    const auto both = sides(block);
    DoubleTape tape;
    tape.input = in;
    tape.q = temp(S, d_, "q");
    tape.k = temp(S, d_, "k");
    tape.v = temp(S, d_, "v");
    tape.o = temp(S, d_, "attention");
    if (saving) tape.lse = exact(layers_.dims.heads, S, "log-sum-exp");
    const Sym normed = temp(S, d_, "modulated");
    // Backward wants q and k as they were before the norm; without it they are overwritten.
    const Sym q = saving ? temp(S, d_, "q rotated") : tape.q, k = saving ? temp(S, d_, "k rotated") : tape.k;
    for (const Side& side : both) {
        SideTape& t = side.text ? tape.txt : tape.img;
        const auto rows = [&](const Sym& x) { return x.row_range(side.begin, side.rows); };
        modulate(rows(in), at_.double_at(block, side.text), kShiftAttention, kScaleAttention, rows(normed));
        t.xa_q = emit_linear(program_, side.layers.q, rows(normed), rows(tape.q));
        t.xa_k = emit_linear(program_, side.layers.k, rows(normed), rows(tape.k));
        t.xa_v = emit_linear(program_, side.layers.v, rows(normed), rows(tape.v));
        norm_rope(rows(tape.q), side.layers.norm_q, side.begin, rows(q));
        norm_rope(rows(tape.k), side.layers.norm_k, side.begin, rows(k));
    }
    attention(q, k, tape.v, tape.o, tape.lse);

    tape.middle = saving ? temp(S, d_, "middle residual") : out;
    for (const Side& side : both) {
        SideTape& t = side.text ? tape.txt : tape.img;
        const auto rows = [&](const Sym& x) { return x.row_range(side.begin, side.rows); };
        const int64_t column = at_.double_at(block, side.text);
        const bool gates = dmodulation(column, 0) && saving;
        const Sym branch = gates ? (t.attention_branch = temp(side.rows, d_, "attention branch")) : rows(normed);
        t.xa_out = emit_linear(program_, side.layers.out, rows(tape.o), branch);
        const Sym middle = rows(tape.middle), x = rows(in), gate = modulation(column, kGateAttention),
                  shift = modulation(column, kShiftMlp), scale = modulation(column, kScaleMlp);
        const Sym mlp_in = gates ? rows(normed) : branch; // r and y: the branch is read before its row is overwritten
        const Sym normed2 = temp(side.rows, d_, "modulated for the MLP");
        program_.emit(op::GatedNormModulate{x, gate, branch, shift, scale, kFluxEps, middle, normed2, {}});
        if (keep_pre) t.pre = temp(side.rows, hidden_, "MLP pre-activation");
        if (tape_only) t.xa_up = emit_linear(program_, side.layers.up, normed2, t.pre);
        if (tape_only && !gates && !side.layers.down.trained()) continue;
        const Sym active = temp(side.rows, hidden_, "MLP active");
        if (tape_only) program_.emit(op::Activate{t.pre, Activation::gelu_tanh, active});
        else t.xa_up = emit_linear(program_, side.layers.up, normed2, active, Activation::gelu_tanh, t.pre);
        if (tape_only && !gates) {
            t.xa_down = emit_lora_down(program_, side.layers.down, active);
            continue;
        }
        const Sym branch2 = gates ? (t.mlp_branch = temp(side.rows, d_, "MLP branch")) : mlp_in;
        t.xa_down = emit_linear(program_, side.layers.down, active, branch2);
        if (!tape_only) program_.emit(op::GatedResidual{middle, modulation(column, kGateMlp), branch2, rows(out)});
    }
    return tape;
}

void FluxNetwork::double_backward(int64_t block, const DoubleTape& tape, const Sym& dout) {
    const int64_t S = shape_.tokens();
    const auto both = sides(block);
    const Sym dattention = temp(S, d_, "dattention");
    for (const Side& side : both) mlp_backward(side, side.text ? tape.txt : tape.img, tape, dout, dattention);

    const auto wanted = [&](const Side& side) {
        const DoubleSide& l = side.layers;
        return l.q.trained() || l.k.trained() || l.v.trained() || dmodulation(at_.double_at(block, side.text), 0) ||
               below_double(side);
    };
    if (!wanted(both[0]) && !wanted(both[1])) return;
    const Sym q = temp(S, d_, "q rotated"), k = temp(S, d_, "k rotated");
    for (const Side& side : both) {
        norm_rope(tape.q.row_range(side.begin, side.rows), side.layers.norm_q, side.begin,
            q.row_range(side.begin, side.rows));
        norm_rope(tape.k.row_range(side.begin, side.rows), side.layers.norm_k, side.begin,
            k.row_range(side.begin, side.rows));
    }
    const Sym dq = temp(S, d_, "dq"), dk = temp(S, d_, "dk"), dv = temp(S, d_, "dv");
    attention_bwd(dattention, q, k, tape.v, tape.o, tape.lse, dq, dk, dv);
    for (const Side& side : both)
        if (wanted(side)) qkv_backward(side, side.text ? tape.txt : tape.img, tape, dq, dk, dv, dout);
}

// dout: gradient of the block's output, becomes that of the middle residual. Leaves the gradient of the attention's
// output.
void FluxNetwork::mlp_backward(
    const Side& side, const SideTape& kept, const DoubleTape& tape, const Sym& dout_all, const Sym& dattention) {
    const auto rows = [&](const Sym& x) { return x.row_range(side.begin, side.rows); };
    const int64_t column = at_.double_at(side.block, side.text);
    const Sym dout = rows(dout_all), middle = rows(tape.middle);
    SideTape t = kept;
    Sym normed, stats;
    const auto normalise = [&] {
        normed = temp(side.rows, d_, "modulated for the MLP");
        stats = exact(side.rows, 2, "stats");
        modulate(middle, column, kShiftMlp, kScaleMlp, normed, stats);
    };
    if (!t.pre) {
        normalise();
        t.pre = temp(side.rows, hidden_, "MLP pre-activation");
        t.xa_up = emit_linear(program_, side.layers.up, normed, t.pre);
    }
    const Sym dbranch = temp(side.rows, d_, "dbranch"), dhidden = temp(side.rows, hidden_, "dhidden");
    through_gate(dout, modulation(column, kGateMlp), t.mlp_branch, dmodulation(column, kGateMlp), dbranch);
    Sym active;
    if (side.layers.down.trained()) {
        active = temp(side.rows, hidden_, "MLP active");
        program_.emit(op::Activate{t.pre, Activation::gelu_tanh, active});
    }
    emit_linear_bwd(program_, side.layers.down, active, t.xa_down, dbranch, dhidden);
    program_.emit(op::ActivateBwd{dhidden, t.pre, Activation::gelu_tanh, dhidden});
    if (!normed) normalise();
    emit_linear_bwd(program_, side.layers.up, normed, t.xa_up, dhidden, dbranch);
    modulate_bwd(dbranch, middle, column, kShiftMlp, kScaleMlp, stats, static_cast<bool>(dmodulation(column, 0)), dout);

    through_gate(
        dout, modulation(column, kGateAttention), t.attention_branch, dmodulation(column, kGateAttention), dbranch);
    emit_linear_bwd(program_, side.layers.out, rows(tape.o), t.xa_out, dbranch, rows(dattention));
}

// dout: gradient of the middle residual, becomes that of the block's input.
void FluxNetwork::qkv_backward(const Side& side, const SideTape& t, const DoubleTape& tape, const Sym& dq,
    const Sym& dk, const Sym& dv, const Sym& dout) {
    const auto rows = [&](const Sym& x) { return x.row_range(side.begin, side.rows); };
    const int64_t column = at_.double_at(side.block, side.text);
    const bool table_gradient = static_cast<bool>(dmodulation(column, 0)), below = below_double(side);
    norm_rope_bwd(rows(dq), rows(tape.q), side.layers.norm_q, side.begin);
    norm_rope_bwd(rows(dk), rows(tape.k), side.layers.norm_k, side.begin);
    const Sym normed = temp(side.rows, d_, "modulated"), stats = exact(side.rows, 2, "stats");
    modulate(rows(tape.input), column, kShiftAttention, kScaleAttention, normed, stats);
    const Sym dnormed = below || table_gradient ? temp(side.rows, d_, "dmodulated") : Sym{};
    emit_linear_bwd(program_, side.layers.q, normed, t.xa_q, rows(dq), dnormed);
    emit_linear_bwd(program_, side.layers.k, normed, t.xa_k, rows(dk), dnormed, true);
    emit_linear_bwd(program_, side.layers.v, normed, t.xa_v, rows(dv), dnormed, true);
    if (dnormed)
        modulate_bwd(dnormed, rows(tape.input), column, kShiftAttention, kScaleAttention, stats, table_gradient,
            below ? rows(dout) : Sym{});
}

} // namespace atelier
