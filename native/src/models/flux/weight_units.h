// The transformer's weights in the units that a memory plan decides about: each modulation linear of a block, which
// only forward reads, then each block's other linears. Embedders, norm_out, proj_out and the head norms always stay on
// the device.
#pragma once
#include "memory/placed_units.h"
#include "models/flux/layers.h"
#include "planning/memory_choice.h"
#include "program/unit_stream.h"
#include <algorithm>

namespace atelier {

UnitPacks weight_units(const FluxLayers& layers);

inline size_t modulation_units(const TransformerDims& dims) {
    return static_cast<size_t>(2 * dims.num_layers + dims.num_single_layers);
}
// index: in for_each_modulation's order, whose last is norm_out.
inline size_t modulation_unit(const TransformerDims& dims, size_t index) {
    return index < modulation_units(dims) ? index : UnitStream::kAlways;
}
// How many modulation linears the blocks up to this one have together. block: doubles before singles, here and below
inline size_t modulation_end(const TransformerDims& dims, int64_t block) {
    return static_cast<size_t>(std::min(2 * (block + 1), dims.num_layers + block + 1));
}
inline size_t block_unit(const TransformerDims& dims, int64_t block) {
    return modulation_units(dims) + static_cast<size_t>(block);
}

// By unit.
std::vector<Residence> unit_residence(const TransformerDims& dims, const MemoryChoice& choice);

} // namespace atelier
