// CLIP's text transformer (transformers CLIPTextModel): causal, pre-norm, learned positions.
#pragma once
#include "formats/config.h"
#include "models/encoder_layers.h"

namespace atelier::clip {

struct Layer {
    NormLayer norm1, norm2;
    DenseLayer q, k, v, out, fc1, fc2;
};

struct TextModel {
    TextModel(const ClipConfig& config, const WeightSource& source);

    // ids: i32 (S, 1), S <= max_positions. Returns the last hidden state after the final norm, (S, hidden_size).
    Sym encode(Program& program, const Sym& ids) const;
    // The row of the last hidden state that stands for the whole text.
    int64_t pooled_row(std::span<const int32_t> ids) const;

    UnitPacks packs() const; // everything that encode() reads, in no units

    ClipConfig config;
    Weight tokens;                // (vocab_size, hidden_size)
    std::vector<float> positions; // (max_positions, hidden_size)
    std::vector<Layer> layers;
    NormLayer final_norm;

private:
    void read(TensorReader&, const std::string& prefix);
    WeightSource source_;
};

} // namespace atelier::clip
