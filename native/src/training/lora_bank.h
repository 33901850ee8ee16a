// The trained adapter: low-rank weights, their gradients and the optimizer's states in one block of memory, reserved
// once.
#pragma once
#include "adapters/parameters.h"
#include "memory/arena.h"
#include "models/transformer.h"
#include "training/adam_state.h"

namespace atelier {

class LoraBank {
public:
    // lora_parameters() of the layers, as they start.
    LoraBank(Memory& memory, const TransformerLayers& layers, const DeclaredTrainOptions& options);

    // What a bank would take, and branches of its sizes without values: for plans, which reserve nothing.
    static uint64_t bytes_of(const TransformerLayers& layers, const DeclaredTrainOptions& options) {
        return sizes(layers, options).bytes;
    }
    static void bind_without_values(TransformerLayers& layers, const DeclaredTrainOptions& options);

    // Points the low-rank branches of the chosen linears here. The bank must outlive whatever uses `layers`.
    void bind(TransformerLayers& layers) const;

    uint64_t bytes() const { return bytes_; }
    double grad_norm(Ops& ops) const { return ops.l2_norm(grads_); }
    void update(Ops& ops, const AdamArgs& args) const; // every tensor's optimizer
    void clear_gradients(Ops& ops) const { ops.fill(grads_, 0.0f); }

    TensorMap gradients() const; // "<path>.lora_A" (rank, in), "<path>.lora_B" (out, rank)
    AdapterWeights adapter() const;
    // All weights one after the other, with what pads them; and an adapter of as many values.
    std::vector<float> weights() const;
    AdapterWeights adapter_of(std::span<const float> weights) const;
    uint64_t weight_bytes() const { return weight_bytes_; }
    void set_adapter(const AdapterWeights& adapter); // invalid_argument unless it has the same modules, ranks and sizes

    // What a training state stores. Gradients are zero between optimizer steps.
    struct State {
        std::vector<std::byte> weights, optimizer_states;
    };
    State state() const;
    void set_state(const State& state); // of the same sizes
    const std::vector<std::string>& paths() const { return paths_; }

private:
    struct Factor {
        View value, grad;
        AdamState state;
    };
    struct Module {
        Factor a, b;
    };
    struct Sizes {
        LoraParameters parameters;
        uint64_t weight_bytes = 0, bytes = 0;
    };
    static Sizes sizes(const TransformerLayers& layers, const DeclaredTrainOptions& options);
    LoraBank(Memory& memory, const Sizes& sizes, const DeclaredTrainOptions& options);

    int64_t rank_;
    float alpha_;
    uint64_t weight_bytes_, bytes_;
    Arena memory_; // weights, gradients in the same order, optimizer states
    View grads_;
    std::vector<std::string> paths_; // in for_each_linear's order, as modules_
    std::vector<Module> modules_;
};

} // namespace atelier
