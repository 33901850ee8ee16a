#include "models/encoder_layers.h"

namespace atelier {
namespace {

const float* pointer(const std::vector<float>& values) { return values.empty() ? nullptr : values.data(); }

} // namespace

DenseLayer read_dense(TensorReader& reader, const std::string& path, int64_t out, int64_t in, bool bias) {
    DenseLayer layer;
    layer.weight = reader.matrix(path + ".weight", out, in);
    if (bias) layer.bias = reader.values(path + ".bias", {out});
    return layer;
}

NormLayer read_norm(TensorReader& reader, const std::string& path, int64_t channels, bool bias) {
    NormLayer layer;
    layer.weight = reader.values(path + ".weight", {channels});
    if (bias) layer.bias = reader.values(path + ".bias", {channels});
    return layer;
}

void pack(ConstantPack& into, const DenseLayer& layer) {
    into.add(layer.weight);
    into.add(layer.bias);
}

void pack(ConstantPack& into, const NormLayer& layer) {
    into.add(layer.weight);
    into.add(layer.bias);
}

void emit_dense(Program& program, const DenseLayer& layer, const Sym& x, const Sym& y, Activation activation) {
    program.emit(
        "linear", {x, y}, [=, w = layer.weight, bias = pointer(layer.bias)](Ops& ops, const Program::Resolver& at) {
            LinearArgs args;
            args.x = at(x);
            args.w = at(w);
            args.bias = at(bias);
            args.activation = activation;
            args.y = at(y);
            ops.linear(args);
        });
}

void emit_layer_norm(Program& program, const NormLayer& layer, float eps, const Sym& x, const Sym& y) {
    program.emit("layer_norm", {x, y},
        [=, w = pointer(layer.weight), b = pointer(layer.bias)](
            Ops& ops, const Program::Resolver& at) { ops.layer_norm(at(x), at(w), at(b), eps, at(y)); });
}

void emit_rms_norm(Program& program, const NormLayer& layer, float eps, const Sym& x, const Sym& y) {
    program.emit("rms_norm", {x, y}, [=, w = pointer(layer.weight)](Ops& ops, const Program::Resolver& at) {
        ops.rms_norm(at(x), at(w), eps, at(y));
    });
}

void emit_add(Program& program, const Sym& x, const Sym& y, const Sym& out) {
    program.emit("add", {x, y, out}, [=](Ops& ops, const Program::Resolver& at) { ops.add(at(x), at(y), at(out)); });
}

void emit_attention(Program& program, int64_t heads, float scale, bool causal, const float* bias, const Sym& q,
    const Sym& k, const Sym& v, const Sym& o) {
    program.emit("attention", {q, k, v, o}, [=](Ops& ops, const Program::Resolver& at) {
        AttentionArgs args;
        args.q = at(q);
        args.k = at(k);
        args.v = at(v);
        args.o = at(o);
        args.heads = heads;
        args.dim = q.cols / heads;
        args.scale = scale;
        args.causal = causal;
        args.bias = at(bias);
        ops.attention(args);
    });
}

void emit_embedding(Program& program, const Weight& table, const Sym& ids, const Sym& y) {
    program.emit("embedding", {ids, y},
        [=](Ops& ops, const Program::Resolver& at) { ops.embedding(at(ids), at(table), at(y)); });
}

} // namespace atelier
