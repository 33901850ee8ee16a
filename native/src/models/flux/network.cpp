#include "models/flux/network.h"
#include "base/error.h"
#include "program/records/blocks.h"
#include "program/records/elements.h"
#include "program/records/products.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

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
    if (dtable_) program_.emit(op::Fill{dtable_, 0});
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
    if (below) program_.emit(op::Fill{dhidden_, 0});
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
    program_.emit(op::GatedNormModulate{
        x, {}, {}, modulation(column, shift_part), modulation(column, scale_part), kFluxEps, {}, y, stats});
}

void FluxNetwork::modulate_bwd(const Sym& dy, const Sym& x, int64_t column, int64_t shift_part, int64_t scale_part,
    const Sym& stats, bool table_gradient, const Sym& dx) {
    if (table_gradient) {
        const Sym normal = temp(x.rows, d_, "normalised");
        program_.emit(op::Normalise{x, {no_modulation_}, kFluxEps, normal});
        program_.emit(op::ColumnDot{dy, {}, dmodulation(column, shift_part)});
        program_.emit(op::ColumnDot{dy, normal, dmodulation(column, scale_part)});
    }
    if (dx) program_.emit(op::NormModulateBwd{dy, x, modulation(column, scale_part), stats, dx});
}

// dbranch = gate ⊙ dout; dgate += column sums of dout ⊙ branch where it is wanted.
void FluxNetwork::through_gate(
    const Sym& dout, const Sym& gate, const Sym& branch, const Sym& dgate, const Sym& dbranch) {
    program_.emit(op::MulRow{dout, gate, dbranch});
    if (dgate) program_.emit(op::ColumnDot{dout, branch, dgate});
}

Table FluxNetwork::rotary(const View& table, int64_t begin, int64_t rows) const {
    View part = table;
    part.data = table.row(begin);
    part.rows = rows;
    return {part};
}

void FluxNetwork::norm_rope(const Sym& x, const float* weight, int64_t begin, const Sym& y) {
    program_.emit(op::QkNormRope{
        x, weight, rotary(cos_, begin, x.rows), rotary(sin_, begin, x.rows), layers_.dims.heads, kFluxEps, y});
}

void FluxNetwork::norm_rope_bwd(const Sym& dx, const Sym& x, const float* weight, int64_t begin) {
    program_.emit(op::QkNormRopeBwd{
        dx, x, weight, rotary(cos_, begin, x.rows), rotary(sin_, begin, x.rows), layers_.dims.heads, kFluxEps, dx});
}

float FluxNetwork::attention_scale() const { return 1.0f / std::sqrt(static_cast<float>(layers_.dims.head_dim)); }

void FluxNetwork::attention(const Sym& q, const Sym& k, const Sym& v, const Sym& o, const Sym& lse) {
    program_.emit(op::Attention{q, k, v, o, lse, layers_.dims.heads, attention_scale()});
}

void FluxNetwork::attention_bwd(const Sym& dout, const Sym& q, const Sym& k, const Sym& v, const Sym& o, const Sym& lse,
    const Sym& dq, const Sym& dk, const Sym& dv) {
    const Sym delta = exact(layers_.dims.heads, q.rows, "attention delta");
    program_.emit(op::AttentionBwd{dout, q, k, v, o, lse, dq, dk, dv, delta, layers_.dims.heads, attention_scale()});
}

} // namespace atelier
