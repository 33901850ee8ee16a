// FluxTransformer2DModel as a list of layers, by diffusers' module names. Nothing here owns memory: weights belong to
// FluxWeights, low-rank branches to whoever trains or applies them. A copy of FluxLayers is cheap, so each trainer and
// sampler binds its own.
#pragma once
#include "atelier/types.h"
#include "models/nn/linear.h"
#include <string>
#include <vector>

namespace atelier {

// One stream of a double block. `norm` is the modulation linear: shift, scale, gate for attention, then the same for
// the MLP.
struct DoubleSide {
    Linear norm, q, k, v, out, up, down;
    const float *norm_q = nullptr, *norm_k = nullptr; // head_dim
};

struct DoubleBlock {
    DoubleSide img, txt;
};

struct SingleBlock {
    Linear norm, q, k, v, mlp, out; // norm: shift, scale, gate
    const float *norm_q = nullptr, *norm_k = nullptr;
};

// Two linears with SiLU between them.
struct EmbedderMlp {
    Linear first, second;
};

struct FluxLayers {
    TransformerDims dims;
    EmbedderMlp time, guidance, text; // guidance: only with dims.guidance
    Linear context_embedder, x_embedder;
    std::vector<DoubleBlock> doubles;
    std::vector<SingleBlock> singles;
    Linear norm_out, proj_out; // norm_out: scale, shift

    explicit FluxLayers(const TransformerDims& d)
        : dims(d), doubles(static_cast<size_t>(d.num_layers)), singles(static_cast<size_t>(d.num_single_layers)) {}
    int64_t width() const { return dims.heads * dims.head_dim; }
};

// A block's linears beside its modulation's, in the order in which they are packed. block: doubles before singles.
std::vector<const Linear*> block_linears(const FluxLayers& layers, int64_t block);

inline constexpr int64_t kSinusoids = 256; // channels of the timestep and guidance embedding
inline constexpr int64_t kMlpRatio = 4;

// f(path, linear, in, out) for every nn.Linear in the order of the model's definition. Layers: FluxLayers, const or
// not.
template <class Layers, class F>
void for_each_linear(Layers& layers, F&& f) {
    const int64_t d = layers.width(), hidden = kMlpRatio * d;
    const auto embedder = [&](const std::string& name, auto& mlp, int64_t in) {
        f("time_text_embed." + name + ".linear_1", mlp.first, in, d);
        f("time_text_embed." + name + ".linear_2", mlp.second, d, d);
    };
    embedder("timestep_embedder", layers.time, kSinusoids);
    if (layers.dims.guidance) embedder("guidance_embedder", layers.guidance, kSinusoids);
    embedder("text_embedder", layers.text, layers.dims.pooled_dim);
    f(std::string("context_embedder"), layers.context_embedder, layers.dims.joint_dim, d);
    f(std::string("x_embedder"), layers.x_embedder, layers.dims.in_channels, d);
    for (size_t i = 0; i < layers.doubles.size(); ++i) {
        const std::string block = "transformer_blocks." + std::to_string(i) + ".";
        auto &img = layers.doubles[i].img, &txt = layers.doubles[i].txt;
        f(block + "norm1.linear", img.norm, d, 6 * d);
        f(block + "norm1_context.linear", txt.norm, d, 6 * d);
        f(block + "attn.to_q", img.q, d, d);
        f(block + "attn.to_k", img.k, d, d);
        f(block + "attn.to_v", img.v, d, d);
        f(block + "attn.to_out.0", img.out, d, d);
        f(block + "attn.add_q_proj", txt.q, d, d);
        f(block + "attn.add_k_proj", txt.k, d, d);
        f(block + "attn.add_v_proj", txt.v, d, d);
        f(block + "attn.to_add_out", txt.out, d, d);
        f(block + "ff.net.0.proj", img.up, d, hidden);
        f(block + "ff.net.2", img.down, hidden, d);
        f(block + "ff_context.net.0.proj", txt.up, d, hidden);
        f(block + "ff_context.net.2", txt.down, hidden, d);
    }
    for (size_t i = 0; i < layers.singles.size(); ++i) {
        const std::string block = "single_transformer_blocks." + std::to_string(i) + ".";
        auto& s = layers.singles[i];
        f(block + "norm.linear", s.norm, d, 3 * d);
        f(block + "proj_mlp", s.mlp, d, hidden);
        f(block + "proj_out", s.out, d + hidden, d);
        f(block + "attn.to_q", s.q, d, d);
        f(block + "attn.to_k", s.k, d, d);
        f(block + "attn.to_v", s.v, d, d);
    }
    f(std::string("norm_out.linear"), layers.norm_out, d, 2 * d);
    f(std::string("proj_out"), layers.proj_out, d, layers.dims.out_channels);
}

// f(name, pointer to head_dim values) for the RMSNorm weights of queries and keys.
template <class Layers, class F>
void for_each_head_norm(Layers& layers, F&& f) {
    for (size_t i = 0; i < layers.doubles.size(); ++i) {
        const std::string attn = "transformer_blocks." + std::to_string(i) + ".attn.";
        f(attn + "norm_q.weight", layers.doubles[i].img.norm_q);
        f(attn + "norm_k.weight", layers.doubles[i].img.norm_k);
        f(attn + "norm_added_q.weight", layers.doubles[i].txt.norm_q);
        f(attn + "norm_added_k.weight", layers.doubles[i].txt.norm_k);
    }
    for (size_t i = 0; i < layers.singles.size(); ++i) {
        const std::string attn = "single_transformer_blocks." + std::to_string(i) + ".attn.";
        f(attn + "norm_q.weight", layers.singles[i].norm_q);
        f(attn + "norm_k.weight", layers.singles[i].norm_k);
    }
}

std::vector<LinearModule> linear_modules(const FluxLayers& layers);

// Layers that have sizes and formats but no values: what a plan needs of a checkpoint. `none` counts as bf16, as FLUX.1
// is published.
FluxLayers layers_without_values(const TransformerDims& dims, BaseQuant quant);

// Throws invalid_argument, naming the dimension, for sizes that no checkpoint can have.
void validate_dims(const TransformerDims& dims);

} // namespace atelier
