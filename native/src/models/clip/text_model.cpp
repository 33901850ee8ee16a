#include "models/clip/text_model.h"
#include "program/records/elements.h"
#include "program/records/encoders.h"
#include "program/records/products.h"
#include <algorithm>
#include <cmath>

namespace atelier::clip {

TextModel::TextModel(const ClipConfig& c, const WeightSource& source) : config(c), source_(source) {
    // transformers 4 writes the whole model under text_model., transformers 5 without
    const std::string prefix = source.find("text_model.final_layer_norm.weight") ? "text_model." : "";
    TensorReader::load(source_, {prefix + "embeddings.position_ids", "text_projection.weight"},
        [&](TensorReader& reader) { read(reader, prefix); });
}

void TextModel::read(TensorReader& reader, const std::string& prefix) {
    const int64_t d = config.hidden_size;
    tokens = reader.matrix(prefix + "embeddings.token_embedding.weight", config.vocab_size, d);
    positions = reader.values(prefix + "embeddings.position_embedding.weight", {config.max_positions, d});
    layers.clear();
    for (int64_t i = 0; i < config.num_layers; ++i) {
        const std::string path = prefix + "encoder.layers." + std::to_string(i);
        Layer& layer = layers.emplace_back();
        layer.norm1 = read_norm(reader, path + ".layer_norm1", d);
        layer.q = read_dense(reader, path + ".self_attn.q_proj", d, d);
        layer.k = read_dense(reader, path + ".self_attn.k_proj", d, d);
        layer.v = read_dense(reader, path + ".self_attn.v_proj", d, d);
        layer.out = read_dense(reader, path + ".self_attn.out_proj", d, d);
        layer.norm2 = read_norm(reader, path + ".layer_norm2", d);
        layer.fc1 = read_dense(reader, path + ".mlp.fc1", config.intermediate_size, d);
        layer.fc2 = read_dense(reader, path + ".mlp.fc2", d, config.intermediate_size);
    }
    final_norm = read_norm(reader, prefix + "final_layer_norm", d);
}

UnitPacks TextModel::packs() const {
    UnitPacks packs;
    packs.always.add(tokens);
    packs.always.add(positions);
    for (const Layer& l : layers) {
        for (const NormLayer* norm : {&l.norm1, &l.norm2}) pack(packs.always, *norm);
        for (const DenseLayer* dense : {&l.q, &l.k, &l.v, &l.out, &l.fc1, &l.fc2}) pack(packs.always, *dense);
    }
    pack(packs.always, final_norm);
    return packs;
}

Sym TextModel::encode(Program& program, const Sym& ids) const {
    const int64_t rows = ids.rows, d = config.hidden_size;
    const float scale = 1.0f / std::sqrt(static_cast<float>(d / config.num_heads));
    const Activation activation = config.hidden_act == "quick_gelu" ? Activation::quick_gelu : Activation::gelu_erf;
    const Sym x = program.temp(rows, d, "x"), normed = program.temp(rows, d, "normed"), q = program.temp(rows, d, "q"),
              k = program.temp(rows, d, "k"), v = program.temp(rows, d, "v"), mixed = program.temp(rows, d, "mixed"),
              wide = program.temp(rows, config.intermediate_size, "wide");
    program.emit(op::Embedding{ids, tokens, x});
    const View table{const_cast<float*>(positions.data()), rows, d, d}; // only read
    program.emit(op::AddTable{x, {table}, x});
    for (const Layer& layer : layers) {
        emit_layer_norm(program, layer.norm1, config.layer_norm_eps, x, normed);
        emit_dense(program, layer.q, normed, q);
        emit_dense(program, layer.k, normed, k);
        emit_dense(program, layer.v, normed, v);
        program.emit(op::Attention{q, k, v, mixed, {}, config.num_heads, scale, true});
        emit_dense(program, layer.out, mixed, normed);
        program.emit(op::Add{x, normed, x});
        emit_layer_norm(program, layer.norm2, config.layer_norm_eps, x, normed);
        emit_dense(program, layer.fc1, normed, wide, activation);
        emit_dense(program, layer.fc2, wide, normed);
        program.emit(op::Add{x, normed, x});
    }
    const Sym last = program.persistent(rows, d, "last hidden state");
    emit_layer_norm(program, final_norm, config.layer_norm_eps, x, last);
    return last;
}

int64_t TextModel::pooled_row(std::span<const int32_t> ids) const {
    // Published configs say eos_token_id 2, which is not the end-of-text token; transformers then takes the largest id,
    // the first of them.
    const auto at = config.eos_token_id == 2
                        ? std::max_element(ids.begin(), ids.end())
                        : std::find(ids.begin(), ids.end(), static_cast<int32_t>(config.eos_token_id));
    return at == ids.end() ? 0 : at - ids.begin();
}

} // namespace atelier::clip
