// The transformer's forward and backward as ops of a program.
//
// Text tokens come first: one joint buffer (T + I, d) carries both streams, so that what the reference concatenates is
// here a slice. Backward computes what the low-rank branches need and nothing else: a tape keeps, per block, its input,
// q, k, v before the norm, the attention's output and log-sum-exp, the middle residual and the MLP before its
// activation; norms, rotations and activations are redone from these. How much of its tape a block keeps is its
// BlockKeep; the rest is made by emitting those ops of its forward once more, just before its backward, so that every
// choice computes the same bits.
#pragma once
#include "models/flux/layers.h"
#include "models/flux/tables.h"
#include "planning/memory_choice.h"
#include "program/parking.h"
#include "program/unit_stream.h"
#include <array>
#include <span>

namespace atelier {

inline constexpr float kFluxEps = 1e-6f; // of every norm in the model

struct FluxShape {
    int64_t grid_h = 0, grid_w = 0, text_tokens = 0;
    int64_t image_tokens() const { return grid_h * grid_w; }
    int64_t tokens() const { return text_tokens + image_tokens(); }
};

// Columns of the modulation table: per double block the image's six rows of d values and the text's six, per single
// block three, then norm_out's two.
struct ModulationLayout {
    explicit ModulationLayout(const TransformerDims& dims)
        : d(dims.heads * dims.head_dim), doubles(dims.num_layers), singles(dims.num_single_layers) {}
    int64_t d, doubles, singles;
    int64_t double_at(int64_t block, bool text) const { return (12 * block + (text ? 6 : 0)) * d; }
    int64_t single_at(int64_t block) const { return (12 * doubles + 3 * block) * d; }
    int64_t out_at() const { return (12 * doubles + 3 * singles) * d; }
    int64_t cols() const { return out_at() + 2 * d; }
};

// -- conditioning: timestep, guidance and pooled text to the modulation table
// -----------------------------------------------------

struct ConditioningTape {
    struct Mlp {
        Sym input, hidden, pre, xa_first, xa_second; // hidden: after SiLU
    };
    Mlp time, guidance, text;
    Sym embedding, activated; // the sum of the three; after SiLU, the input of every modulation linear
    Sym table; // (rows, ModulationLayout::cols)
    std::vector<Sym> xa; // of the modulation linears, in for_each_modulation's order
};

// Rows are independent: one for a training step, one per denoising step for a picture. guidance is null without
// guidance embedding.
ConditioningTape emit_embedding(
    Program&, const FluxLayers&, const Sym& time, const Sym& guidance, const Sym& pooled, const Sym& table);
// The next modulation linears' columns of the tables, in for_each_modulation's order, up to `end` of them in all; for
// several samples linear by linear.
void emit_modulation(Program&, UnitStream&, const FluxLayers&, std::span<ConditioningTape> samples, size_t end);
ConditioningTape emit_conditioning(Program&, UnitStream&, const FluxLayers&, const Sym& time, const Sym& guidance,
    const Sym& pooled, const Sym& table); // both, whole
// dtables: one a sample, gradients of the tables (1, cols); only columns of trained linears are read, or all when an
// embedder is trained.
void emit_conditioning_bwd(
    Program&, UnitStream&, const FluxLayers&, std::span<const ConditioningTape> samples, std::span<const Sym> dtables);

// f(linear, column, width) for every modulation linear.
template <class F>
void for_each_modulation(const FluxLayers& layers, F&& f) {
    const ModulationLayout at(layers.dims);
    for (int64_t i = 0; i < at.doubles; ++i) {
        f(layers.doubles[static_cast<size_t>(i)].img.norm, at.double_at(i, false), 6 * at.d);
        f(layers.doubles[static_cast<size_t>(i)].txt.norm, at.double_at(i, true), 6 * at.d);
    }
    for (int64_t i = 0; i < at.singles; ++i) f(layers.singles[static_cast<size_t>(i)].norm, at.single_at(i), 3 * at.d);
    f(layers.norm_out, at.out_at(), 2 * at.d);
}

bool embedders_trained(const FluxLayers&); // a linear of the time, guidance or text embedding

// The first block, doubles before singles, whose backward is needed; their number when none is.
int64_t lowest_trained_block(const FluxLayers&);

// -- blocks
// ------------------------------------------------------------------------------------------------------------------------

// What a block's backward reads. xa: x · Aᵀ of its adapted linears. branch*: only when gates need gradients.
struct SideTape {
    Sym xa_q, xa_k, xa_v, xa_out, xa_up, xa_down;
    Sym pre; // MLP before its activation; null with BlockKeep::attention, and backward makes it
    Sym attention_branch, mlp_branch;
};
struct DoubleTape {
    Sym input, q, k, v, o, lse, middle;
    SideTape txt, img;
};
struct SingleTape {
    Sym input, q, k, v, o, lse, pre, branch;
    Sym xa_q, xa_k, xa_v, xa_mlp, xa_out;
};

struct NetworkOptions {
    bool training = false;
    std::vector<BlockKeep> keep; // one a block, doubles before singles; read only when training
    Parking* parking = nullptr; // null: nothing is parked; must outlive the program
    std::vector<bool> parked; // as keep: what the block keeps beyond its input goes there
    bool capture = false; // every block's output stays readable after the run
    DType activations =
        DType::f32; // Ops::activations: of matrices of tokens x features inside the network, and their gradients
};

// One sample's way through the blocks, in the parts that several samples take in turn (models/flux/pass.h).
class FluxNetwork {
public:
    // `tables`, of this shape, must outlive the program.
    FluxNetwork(Program&, const FluxLayers&, const FluxShape&, const FluxTables& tables, const NetworkOptions&);

    // latents (I, in_channels), prompt (T, joint_dim), table (1, ModulationLayout::cols)
    void begin(const Sym& latents, const Sym& prompt, const Sym& table);
    // Doubles before singles, in order. The block's columns of the table are filled by then, norm_out's before end().
    void forward_block(int64_t block);
    Sym end(); // the prediction (I, out_channels)
    // After end(). Blocks in falling order, down to lowest().
    void begin_backward(const Sym& dprediction);
    void backward_block(int64_t block);
    void end_backward();

    int64_t blocks() const { return at_.doubles + at_.singles; }
    int64_t lowest() const { return lowest_; } // lowest_trained_block
    // Gradient of the table (1, cols), filled by backward; null unless a modulation linear or an embedder is trained.
    const Sym& dtable() const { return dtable_; }

    const std::vector<Sym>& captured() const { return captured_; } // per block the joint output (T + I, d)

private:
    // What emitting a block's forward is for: its output, its output and the tape that the block keeps, or the tape
    // alone.
    enum class Emit { output, output_and_tape, tape };

    // One stream of the joint buffer.
    struct Side {
        const DoubleSide& layers;
        int64_t block;
        bool text;
        int64_t begin, rows;
    };
    std::array<Side, 2> sides(int64_t block) const;

    DoubleTape double_forward(int64_t block, const Sym& in, const Sym& out, Emit);
    void double_backward(int64_t block, const DoubleTape&, const Sym& dout);
    void mlp_backward(const Side&, const SideTape&, const DoubleTape&, const Sym& dout, const Sym& dattention);
    void qkv_backward(
        const Side&, const SideTape&, const DoubleTape&, const Sym& dq, const Sym& dk, const Sym& dv, const Sym& dout);
    SingleTape single_forward(int64_t block, const Sym& in, const Sym& out, Emit);
    void single_backward(int64_t block, const SingleTape&, const Sym& dout);
    void head_backward(const Sym& dprediction);

    Sym modulation(int64_t column, int64_t part) const; // row `part` of d values of the linear at `column`
    Sym dmodulation(int64_t column, int64_t part) const;
    void modulate(const Sym& x, int64_t column, int64_t shift, int64_t scale, const Sym& y, const Sym& stats = {});
    void modulate_bwd(const Sym& dy, const Sym& x, int64_t column, int64_t shift, int64_t scale, const Sym& stats,
        bool table_gradient, const Sym& dx);
    void through_gate(const Sym& dout, const Sym& gate, const Sym& branch, const Sym& dgate, const Sym& dbranch);
    Table rotary(const View& table, int64_t begin, int64_t rows) const;
    float attention_scale() const;
    void norm_rope(const Sym& x, const float* weight, int64_t begin, const Sym& y);
    void norm_rope_bwd(const Sym& dx, const Sym& x, const float* weight, int64_t begin);
    void attention(const Sym& q, const Sym& k, const Sym& v, const Sym& o, const Sym& lse);
    void attention_bwd(const Sym& dout, const Sym& q, const Sym& k, const Sym& v, const Sym& o, const Sym& lse,
        const Sym& dq, const Sym& dk, const Sym& dv);
    Sym temp(int64_t rows, int64_t cols, const char* name) {
        return program_.temp(rows, cols, name, options_.activations);
    }
    Sym exact(int64_t rows, int64_t cols, const char* name) {
        return program_.temp(rows, cols, name);
    } // f32 with every backend

    void find_trained();
    bool below_double(const Side&) const; // the gradient of its input is needed
    bool below_single(int64_t block) const;
    BlockKeep keep(int64_t index) const { return options_.keep[static_cast<size_t>(index)]; } // doubles before singles
    bool parks(int64_t index) const {
        return options_.parking && options_.parked[static_cast<size_t>(index)] && keep(index) != BlockKeep::input &&
               index >= lowest_;
    }
    void step() { // between blocks
        if (options_.parking) options_.parking->step();
    }
    template <class Tape>
    void leave(int64_t index, Tape& tape);
    template <class Tape>
    void bring_back(int64_t index, Tape& tape);

    Program& program_;
    const FluxLayers layers_;
    const FluxShape shape_;
    const View cos_, sin_, no_modulation_;
    const NetworkOptions options_;
    const int64_t d_, hidden_;
    const ModulationLayout at_;
    std::vector<bool> table_gradient_; // by row of d values of the table
    int64_t lowest_ = 0; // lowest_trained_block
    bool below_img_ = false, below_txt_ = false;

    Sym table_, dtable_, latents_, prompt_;
    Sym xa_latents_, xa_prompt_, xa_head_;
    Sym hidden_state_; // the last block's output so far
    Sym dhidden_; // backward: its gradient, in place from block to block
    Sym head_input_; // proj_out's input
    std::vector<Sym> inputs_; // of every block: all that BlockKeep::input keeps
    std::vector<DoubleTape> double_tapes_;
    std::vector<SingleTape> single_tapes_;
    std::vector<size_t> parked_; // by block: the item of options_.parking
    std::vector<Sym> captured_;
};

} // namespace atelier
