#include "models/flux/network.h"
#include "base/error.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

constexpr float kEps = 1e-6f; // of every norm in the model

enum { kHeadScale, kHeadShift }; // norm_out's rows: the other way round than a block's

// What a tape holds beyond the block's input.
std::vector<Sym*> kept(DoubleTape& t) {
    std::vector<Sym*> all = {&t.q, &t.k, &t.v, &t.o, &t.lse, &t.middle};
    for (SideTape* s : {&t.txt, &t.img})
        all.insert(all.end(), {&s->xa_q, &s->xa_k, &s->xa_v, &s->xa_out, &s->xa_up, &s->xa_down, &s->pre,
                                  &s->attention_branch, &s->mlp_branch});
    return all;
}
std::vector<Sym*> kept(SingleTape& t) {
    return {&t.q, &t.k, &t.v, &t.o, &t.lse, &t.pre, &t.branch, &t.xa_q, &t.xa_k, &t.xa_v, &t.xa_mlp, &t.xa_out};
}

} // namespace

int64_t lowest_trained_block(const FluxLayers& layers) {
    if (layers.x_embedder.trained() || layers.context_embedder.trained() || embedders_trained(layers)) return 0;
    const auto any = [](std::initializer_list<const Linear*> linears) {
        return std::any_of(linears.begin(), linears.end(), [](const Linear* l) { return l->trained(); });
    };
    const auto side = [&](const DoubleSide& s) { return any({&s.norm, &s.q, &s.k, &s.v, &s.out, &s.up, &s.down}); };
    int64_t block = 0;
    for (const DoubleBlock& b : layers.doubles) {
        if (side(b.img) || side(b.txt)) return block;
        ++block;
    }
    for (const SingleBlock& b : layers.singles) {
        if (any({&b.norm, &b.q, &b.k, &b.v, &b.mlp, &b.out})) return block;
        ++block;
    }
    return block;
}

FluxNetwork::FluxNetwork(Program& program, const FluxLayers& layers, const FluxShape& shape, const FluxTables& tables,
    const NetworkOptions& options)
    : program_(program), layers_(layers), shape_(shape), cos_(tables.rope.cos()), sin_(tables.rope.sin()),
      no_modulation_{const_cast<float*>(tables.zeros.data()), 1, layers.width(), layers.width(), DType::f32},
      options_(options), d_(layers.width()), hidden_(kMlpRatio * layers.width()), at_(layers.dims) {
    require(cos_.rows == shape.tokens(), ErrorCode::internal, "rotary table of ", cos_.rows, " tokens for ",
        shape.tokens());
    require(!options.training || static_cast<int64_t>(options.keep.size()) == at_.doubles + at_.singles,
        ErrorCode::internal, "what to keep of ", options.keep.size(), " blocks for ", at_.doubles + at_.singles);
    find_trained();
}

void FluxNetwork::find_trained() {
    table_gradient_.assign(static_cast<size_t>(at_.cols() / d_), false);
    if (!options_.training) return;
    below_img_ = layers_.x_embedder.trained();
    below_txt_ = layers_.context_embedder.trained();
    lowest_ = lowest_trained_block(layers_);
    const bool conditioning = embedders_trained(layers_);
    bool any = false;
    for_each_modulation(layers_, [&](const Linear& linear, int64_t column, int64_t width) {
        const bool wanted = conditioning || linear.trained();
        std::fill_n(table_gradient_.begin() + column / d_, width / d_, wanted);
        any = any || wanted;
    });
    if (any) dtable_ = exact(1, at_.cols(), "dmodulation");
}

bool FluxNetwork::below_double(const Side& side) const {
    return side.block > lowest_ || (side.block == 0 && (side.text ? below_txt_ : below_img_));
}

bool FluxNetwork::below_single(int64_t block) const {
    const int64_t index = at_.doubles + block;
    return index > lowest_ || (index == 0 && (below_img_ || below_txt_));
}

void FluxNetwork::begin(const Sym& latents, const Sym& prompt, const Sym& table) {
    const int64_t S = shape_.tokens(), T = shape_.text_tokens, I = shape_.image_tokens();
    latents_ = latents;
    prompt_ = prompt;
    table_ = table;
    hidden_state_ = temp(S, d_, "hidden");
    xa_latents_ = emit_linear(program_, layers_.x_embedder, latents, hidden_state_.row_range(T, I));
    xa_prompt_ = emit_linear(program_, layers_.context_embedder, prompt, hidden_state_.row_range(0, T));
    parked_.resize(static_cast<size_t>(blocks()));
    double_tapes_.resize(static_cast<size_t>(at_.doubles));
    single_tapes_.resize(static_cast<size_t>(at_.singles));
}

void FluxNetwork::forward_block(int64_t b) {
    const bool tape = options_.training && b >= lowest_;
    const Emit emit = tape && keep(b) != BlockKeep::input ? Emit::output_and_tape : Emit::output;
    const Sym in = hidden_state_, out = tape || options_.capture ? temp(shape_.tokens(), d_, "hidden") : in;
    inputs_.push_back(in);
    step();
    if (b < at_.doubles) leave(b, double_tapes_[static_cast<size_t>(b)] = double_forward(b, in, out, emit));
    else leave(b, single_tapes_[static_cast<size_t>(b - at_.doubles)] = single_forward(b - at_.doubles, in, out, emit));
    hidden_state_ = out;
    if (options_.capture) captured_.push_back(out);
}

Sym FluxNetwork::end() {
    const int64_t T = shape_.text_tokens, I = shape_.image_tokens();
    head_input_ = temp(I, d_, "head input");
    modulate(hidden_state_.row_range(T, I), at_.out_at(), kHeadShift, kHeadScale, head_input_);
    const Sym prediction = exact(I, layers_.dims.out_channels, "prediction");
    xa_head_ = emit_linear(program_, layers_.proj_out, head_input_, prediction);
    return prediction;
}

void FluxNetwork::begin_backward(const Sym& dprediction) {
    if (dtable_) zero(dtable_);
    dhidden_ = temp(shape_.tokens(), d_, "dhidden");
    head_backward(dprediction);
}

void FluxNetwork::backward_block(int64_t b) {
    const bool again = keep(b) == BlockKeep::input;
    const Sym in = inputs_[static_cast<size_t>(b)];
    step();
    if (b < at_.doubles) {
        DoubleTape& tape = double_tapes_[static_cast<size_t>(b)];
        bring_back(b, tape);
        double_backward(b, again ? double_forward(b, in, {}, Emit::tape) : tape, dhidden_);
    } else {
        SingleTape& tape = single_tapes_[static_cast<size_t>(b - at_.doubles)];
        bring_back(b, tape);
        single_backward(b - at_.doubles, again ? single_forward(b - at_.doubles, in, {}, Emit::tape) : tape, dhidden_);
    }
}

template <class Tape>
void FluxNetwork::leave(int64_t index, Tape& tape) {
    if (!parks(index)) return;
    std::vector<Sym> matrices;
    for (const Sym* s : kept(tape)) matrices.push_back(*s);
    parked_[static_cast<size_t>(index)] = options_.parking->leave(matrices);
}

template <class Tape>
void FluxNetwork::bring_back(int64_t index, Tape& tape) {
    if (!parks(index)) return;
    const std::vector<Sym> matrices = options_.parking->back(parked_[static_cast<size_t>(index)]);
    size_t next = 0;
    for (Sym* s : kept(tape)) *s = matrices[next++];
}

void FluxNetwork::end_backward() {
    const int64_t T = shape_.text_tokens, I = shape_.image_tokens();
    if (below_img_) emit_linear_bwd(program_, layers_.x_embedder, latents_, xa_latents_, dhidden_.row_range(T, I), {});
    if (below_txt_)
        emit_linear_bwd(program_, layers_.context_embedder, prompt_, xa_prompt_, dhidden_.row_range(0, T), {});
}

void FluxNetwork::head_backward(const Sym& dprediction) {
    const int64_t T = shape_.text_tokens, I = shape_.image_tokens();
    const bool below = lowest_ < blocks() || below_img_,
               table_gradient = static_cast<bool>(dmodulation(at_.out_at(), 0));
    const Sym dnormed = below || table_gradient ? temp(I, d_, "dmodulated") : Sym{};
    emit_linear_bwd(program_, layers_.proj_out, head_input_, xa_head_, dprediction, dnormed);
    if (!dnormed) return;
    const Sym x = hidden_state_.row_range(T, I), again = temp(I, d_, "modulated"), stats = exact(I, 2, "stats");
    modulate(x, at_.out_at(), kHeadShift, kHeadScale, again, stats);
    if (below) zero(dhidden_);
    modulate_bwd(dnormed, x, at_.out_at(), kHeadShift, kHeadScale, stats, table_gradient,
        below ? dhidden_.row_range(T, I) : Sym{});
}

// -- single ops
// ----------------------------------------------------------------------------------------------------------------------

Sym FluxNetwork::modulation(int64_t column, int64_t part) const { return table_.col_range(column + part * d_, d_); }

Sym FluxNetwork::dmodulation(int64_t column, int64_t part) const {
    return table_gradient_[static_cast<size_t>(column / d_)] ? dtable_.col_range(column + part * d_, d_) : Sym{};
}

void FluxNetwork::modulate(
    const Sym& x, int64_t column, int64_t shift_part, int64_t scale_part, const Sym& y, const Sym& stats) {
    const Sym shift = modulation(column, shift_part), scale = modulation(column, scale_part);
    program_.emit("modulate", {x, shift, scale, y, stats}, [=](Ops& ops, const Program::Resolver& at) {
        ops.gated_norm_modulate(at(x), View{}, View{}, at(shift), at(scale), kEps, View{}, at(y), at(stats));
    });
}

void FluxNetwork::modulate_bwd(const Sym& dy, const Sym& x, int64_t column, int64_t shift_part, int64_t scale_part,
    const Sym& stats, bool table_gradient, const Sym& dx) {
    if (table_gradient) {
        const Sym dshift = dmodulation(column, shift_part), dscale = dmodulation(column, scale_part),
                  normal = temp(x.rows, d_, "normalised");
        program_.emit("normalise", {x, normal}, [=, none = no_modulation_](Ops& ops, const Program::Resolver& at) {
            ops.gated_norm_modulate(at(x), View{}, View{}, at(none), at(none), kEps, View{}, at(normal), View{});
        });
        program_.emit("dmodulation", {dy, normal, dshift, dscale}, [=](Ops& ops, const Program::Resolver& at) {
            ops.column_dot(at(dy), View{}, at(dshift));
            ops.column_dot(at(dy), at(normal), at(dscale));
        });
    }
    if (!dx) return;
    const Sym scale = modulation(column, scale_part);
    program_.emit("norm_modulate_bwd", {dy, x, scale, stats, dx}, [=](Ops& ops, const Program::Resolver& at) {
        ops.norm_modulate_bwd(at(dy), at(x), at(scale), at(stats), at(dx));
    });
}

void FluxNetwork::gated_residual(const Sym& x, const Sym& gate, const Sym& branch, const Sym& r) {
    program_.emit("gated_residual", {x, gate, branch, r},
        [=](Ops& ops, const Program::Resolver& at) { ops.gated_residual(at(x), at(gate), at(branch), at(r)); });
}

// dbranch = gate ⊙ dout; dgate += column sums of dout ⊙ branch where it is wanted.
void FluxNetwork::through_gate(
    const Sym& dout, const Sym& gate, const Sym& branch, const Sym& dgate, const Sym& dbranch) {
    program_.emit("mul_row", {dout, gate, dbranch},
        [=](Ops& ops, const Program::Resolver& at) { ops.mul_row(at(dout), at(gate), at(dbranch)); });
    if (dgate)
        program_.emit("dgate", {dout, branch, dgate},
            [=](Ops& ops, const Program::Resolver& at) { ops.column_dot(at(dout), at(branch), at(dgate)); });
}

void FluxNetwork::norm_rope(const Sym& x, const float* weight, int64_t begin, const Sym& y) {
    program_.emit("qk_norm_rope", {x, y},
        [=, this_cos = cos_, this_sin = sin_, heads = layers_.dims.heads](Ops& ops, const Program::Resolver& at) {
            View cos = at(this_cos), sin = at(this_sin);
            cos.data = cos.row(begin);
            sin.data = sin.row(begin);
            ops.qk_norm_rope(at(x), at(weight), cos, sin, heads, kEps, at(y));
        });
}

void FluxNetwork::norm_rope_bwd(const Sym& dx, const Sym& x, const float* weight, int64_t begin) {
    program_.emit("qk_norm_rope_bwd", {dx, x},
        [=, this_cos = cos_, this_sin = sin_, heads = layers_.dims.heads](Ops& ops, const Program::Resolver& at) {
            View cos = at(this_cos), sin = at(this_sin);
            cos.data = cos.row(begin);
            sin.data = sin.row(begin);
            ops.qk_norm_rope_bwd(at(dx), at(x), at(weight), cos, sin, heads, kEps, at(dx));
        });
}

void FluxNetwork::attention(const Sym& q, const Sym& k, const Sym& v, const Sym& o, const Sym& lse) {
    program_.emit("attention", {q, k, v, o, lse},
        [=, heads = layers_.dims.heads, dim = layers_.dims.head_dim](Ops& ops, const Program::Resolver& at) {
            AttentionArgs args;
            args.q = at(q);
            args.k = at(k);
            args.v = at(v);
            args.o = at(o);
            args.lse = at(lse);
            args.heads = heads;
            args.dim = dim;
            args.scale = 1.0f / std::sqrt(static_cast<float>(dim));
            ops.attention(args);
        });
}

void FluxNetwork::attention_bwd(const Sym& dout, const Sym& q, const Sym& k, const Sym& v, const Sym& o, const Sym& lse,
    const Sym& dq, const Sym& dk, const Sym& dv) {
    const Sym delta = exact(layers_.dims.heads, q.rows, "attention delta");
    program_.emit("attention_bwd", {dout, q, k, v, o, lse, dq, dk, dv, delta},
        [=, heads = layers_.dims.heads, dim = layers_.dims.head_dim](Ops& ops, const Program::Resolver& at) {
            AttentionBwdArgs args;
            args.dout = at(dout);
            args.q = at(q);
            args.k = at(k);
            args.v = at(v);
            args.o = at(o);
            args.lse = at(lse);
            args.dq = at(dq);
            args.dk = at(dk);
            args.dv = at(dv);
            args.delta = at(delta);
            args.heads = heads;
            args.dim = dim;
            args.scale = 1.0f / std::sqrt(static_cast<float>(dim));
            ops.attention_bwd(args);
        });
}

void FluxNetwork::gelu(const Sym& x, const Sym& y) {
    program_.emit("gelu", {x, y},
        [=](Ops& ops, const Program::Resolver& at) { ops.activation(at(x), Activation::gelu_tanh, at(y)); });
}

void FluxNetwork::gelu_bwd(const Sym& d, const Sym& pre) {
    program_.emit("gelu_bwd", {d, pre}, [=](Ops& ops, const Program::Resolver& at) {
        ops.activation_bwd(at(d), at(pre), Activation::gelu_tanh, at(d));
    });
}

void FluxNetwork::copy(const Sym& x, const Sym& y) {
    program_.emit("copy", {x, y}, [=](Ops& ops, const Program::Resolver& at) { ops.copy(at(x), at(y)); });
}

void FluxNetwork::zero(const Sym& x) {
    program_.emit("zero", {x}, [=](Ops& ops, const Program::Resolver& at) { ops.fill(at(x), 0.0f); });
}

} // namespace atelier
