// What the text encoders and the autoencoder have in common: linears and norms with their weights, and their ops in a
// program. Layers must outlive the program.
#pragma once
#include "formats/tensor_reader.h"
#include "memory/placed_units.h"
#include "ops/ops.h"
#include "program/program.h"

namespace atelier {

struct DenseLayer {
    Weight weight;           // (out, in)
    std::vector<float> bias; // out, or none
};

struct NormLayer {
    std::vector<float> weight, bias; // channels; RMS norms have no bias
};

// `<path>.weight` and `<path>.bias`
DenseLayer read_dense(TensorReader&, const std::string& path, int64_t out, int64_t in, bool bias = true);
NormLayer read_norm(TensorReader&, const std::string& path, int64_t channels, bool bias = true);

void pack(ConstantPack&, const DenseLayer&);
void pack(ConstantPack&, const NormLayer&);

void emit_dense(Program&, const DenseLayer&, const Sym& x, const Sym& y, Activation = Activation::none);
void emit_layer_norm(Program&, const NormLayer&, float eps, const Sym& x, const Sym& y);
void emit_rms_norm(Program&, const NormLayer&, float eps, const Sym& x, const Sym& y);

} // namespace atelier
