// T5 v1.1's encoder (transformers T5EncoderModel): pre-norm with RMS norms, gated GELU, relative position bias shared
// by all layers. No token is masked: FLUX attends to padding.
#pragma once
#include "formats/config.h"
#include "models/encoder_layers.h"
#include "program/unit_stream.h"

namespace atelier::t5 {

struct Layer {
    NormLayer norm1, norm2;
    DenseLayer q, k, v, out, gate, up, down; // transformers: wi_0, wi_1, wo
};

// The bucket of a key at `offset` = key position - query position, of `buckets`, half of them for keys behind the
// query.
int64_t relative_bucket(int64_t offset, int64_t buckets, int64_t max_distance);

struct Encoder {
    Encoder(const T5Config& config, const WeightSource& source);

    // (num_heads, S, S) for emit_attention
    std::vector<float> position_bias(int64_t tokens) const;
    // ids: i32 (S, 1) of each caption, all of one length. Returns (S, d_model) of each, by the ops that it would take
    // alone; a layer's weights are used once, for all of them. `bias` as above must outlive the program.
    std::vector<Sym> encode(Program& program, UnitStream& stream, const std::vector<Sym>& ids, const float* bias) const;

    UnitPacks packs() const; // everything that encode() reads but `bias`; a unit a layer

    T5Config config;
    Weight tokens; // (vocab_size, d_model)
    std::vector<float> relative_bias; // (buckets, num_heads)
    std::vector<Layer> layers;
    NormLayer final_norm;

private:
    void read(TensorReader&, const std::string& tokens_name);
    void emit_layer(Program&, const Layer&, const Sym& x, const float* bias) const; // x in place
    WeightSource source_;
};

} // namespace atelier::t5
