#include "models/t5/encoder.h"
#include "program/records/elements.h"
#include "program/records/encoders.h"
#include "program/records/products.h"
#include <cmath>

namespace atelier::t5 {

int64_t relative_bucket(int64_t offset, int64_t buckets, int64_t max_distance) {
    const int64_t half = buckets / 2, exact = half / 2, distance = std::abs(offset);
    const int64_t side = offset > 0 ? half : 0;
    if (distance < exact) return side + distance;
    // float32 as in transformers, so that a boundary falls where it falls there
    const float position =
        std::log(static_cast<float>(distance) / static_cast<float>(exact)) /
        static_cast<float>(std::log(static_cast<double>(max_distance) / static_cast<double>(exact))) *
        static_cast<float>(half - exact);
    return side + std::min(exact + static_cast<int64_t>(position), half - 1);
}

Encoder::Encoder(const T5Config& c, const WeightSource& source) : config(c), source_(source) {
    // One tensor under up to two names; which of them is written depends on the library's version.
    const bool shared = source.find("shared.weight") || !source.find("encoder.embed_tokens.weight");
    const std::string used = shared ? "shared.weight" : "encoder.embed_tokens.weight";
    TensorReader::load(source_, {"encoder.embed_tokens.weight"}, [&](TensorReader& reader) { read(reader, used); });
}

void Encoder::read(TensorReader& reader, const std::string& tokens_name) {
    const int64_t d = config.d_model, inner = config.num_heads * config.d_kv;
    tokens = reader.matrix(tokens_name, config.vocab_size, d);
    layers.clear();
    for (int64_t i = 0; i < config.num_layers; ++i) {
        const std::string path = "encoder.block." + std::to_string(i) + ".layer.";
        const std::string attention = path + "0.SelfAttention.", mlp = path + "1.DenseReluDense.";
        Layer& layer = layers.emplace_back();
        layer.norm1 = read_norm(reader, path + "0.layer_norm", d, false);
        layer.q = read_dense(reader, attention + "q", inner, d, false);
        layer.k = read_dense(reader, attention + "k", inner, d, false);
        layer.v = read_dense(reader, attention + "v", inner, d, false);
        layer.out = read_dense(reader, attention + "o", d, inner, false);
        if (i == 0)
            relative_bias =
                reader.values(attention + "relative_attention_bias.weight", {config.buckets, config.num_heads});
        layer.norm2 = read_norm(reader, path + "1.layer_norm", d, false);
        layer.gate = read_dense(reader, mlp + "wi_0", config.d_ff, d, false);
        layer.up = read_dense(reader, mlp + "wi_1", config.d_ff, d, false);
        layer.down = read_dense(reader, mlp + "wo", d, config.d_ff, false);
    }
    final_norm = read_norm(reader, "encoder.final_layer_norm", d, false);
}

std::vector<float> Encoder::position_bias(int64_t tokens_count) const {
    const int64_t n = tokens_count, heads = config.num_heads;
    std::vector<int64_t> bucket(static_cast<size_t>(2 * n)); // by offset + n - 1
    for (int64_t offset = 1 - n; offset < n; ++offset)
        bucket[static_cast<size_t>(offset + n - 1)] = relative_bucket(offset, config.buckets, config.max_distance);
    std::vector<float> bias(static_cast<size_t>(heads * n * n));
    float* out = bias.data();
    for (int64_t h = 0; h < heads; ++h)
        for (int64_t query = 0; query < n; ++query)
            for (int64_t key = 0; key < n; ++key)
                *out++ =
                    relative_bias[static_cast<size_t>(bucket[static_cast<size_t>(key - query + n - 1)] * heads + h)];
    return bias;
}

UnitPacks Encoder::packs() const {
    UnitPacks packs;
    packs.always.add(tokens);
    pack(packs.always, final_norm);
    for (const Layer& l : layers) {
        ConstantPack& unit = packs.units.emplace_back();
        for (const NormLayer* norm : {&l.norm1, &l.norm2}) pack(unit, *norm);
        for (const DenseLayer* dense : {&l.q, &l.k, &l.v, &l.out, &l.gate, &l.up, &l.down}) pack(unit, *dense);
    }
    return packs;
}

std::vector<Sym> Encoder::encode(
    Program& program, UnitStream& stream, const std::vector<Sym>& ids, const float* bias) const {
    std::vector<Sym> states;
    for (const Sym& caption : ids) states.push_back(program.persistent(caption.rows, config.d_model, "embeds"));
    stream.start();
    for (size_t i = 0; i < ids.size(); ++i) program.emit(op::Embedding{ids[i], tokens, states[i]});
    for (size_t i = 0; i < layers.size(); ++i)
        stream.use(i, [&] {
            for (const Sym& x : states) emit_layer(program, layers[i], x, bias);
        });
    for (const Sym& x : states) emit_rms_norm(program, final_norm, config.layer_norm_eps, x, x);
    return states;
}

void Encoder::emit_layer(Program& program, const Layer& layer, const Sym& x, const float* bias) const {
    const auto matrix = [&](int64_t cols, const char* name) { return program.temp(x.rows, cols, name); };
    const int64_t inner = config.num_heads * config.d_kv;
    const Sym normed = matrix(config.d_model, "normed"), q = matrix(inner, "q"), k = matrix(inner, "k"),
              v = matrix(inner, "v"), mixed = matrix(inner, "mixed");
    emit_rms_norm(program, layer.norm1, config.layer_norm_eps, x, normed);
    emit_dense(program, layer.q, normed, q);
    emit_dense(program, layer.k, normed, k);
    emit_dense(program, layer.v, normed, v);
    program.emit(op::Attention{q, k, v, mixed, {}, config.num_heads, 1, false, bias});
    emit_dense(program, layer.out, mixed, normed);
    program.emit(op::Add{x, normed, x});
    emit_rms_norm(program, layer.norm2, config.layer_norm_eps, x, normed);
    const Sym gate = matrix(config.d_ff, "gate"), up = matrix(config.d_ff, "up");
    emit_dense(program, layer.gate, normed, gate, Activation::gelu_tanh);
    emit_dense(program, layer.up, normed, up);
    program.emit(op::Mul{gate, up, gate});
    emit_dense(program, layer.down, gate, normed);
    program.emit(op::Add{x, normed, x});
}

} // namespace atelier::t5
