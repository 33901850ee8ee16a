#include "models/encoder_layers.h"
#include "program/records/encoders.h"
#include "program/records/products.h"

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
    program.emit(op::Linear{.x = x, .w = layer.weight, .bias = pointer(layer.bias), .activation = activation, .y = y});
}

void emit_layer_norm(Program& program, const NormLayer& layer, float eps, const Sym& x, const Sym& y) {
    program.emit(op::LayerNorm{x, pointer(layer.weight), pointer(layer.bias), eps, y});
}

void emit_rms_norm(Program& program, const NormLayer& layer, float eps, const Sym& x, const Sym& y) {
    program.emit(op::RmsNorm{x, pointer(layer.weight), eps, y});
}

} // namespace atelier
