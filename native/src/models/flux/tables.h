// What programs over the transformer read beside its weights, for one shape: rotary tables, and a modulation that
// changes nothing.
#pragma once
#include "memory/constants.h"
#include "models/flux/rope.h"

namespace atelier {

struct FluxTables {
    FluxTables(const TransformerDims& dims, int64_t text_tokens, int64_t grid_h, int64_t grid_w)
        : rope(dims, text_tokens, grid_h, grid_w), zeros(static_cast<size_t>(dims.heads * dims.head_dim), 0.0f) {}

    RopeTable rope;
    std::vector<float> zeros; // (d)

    void add_to(Constants& constants) const {
        for (const View& table : {rope.cos(), rope.sin()})
            constants.add(table.data, static_cast<uint64_t>(table.size()) * sizeof(float));
        constants.add(zeros);
    }
    static uint64_t bytes(const TransformerDims& dims, int64_t tokens) {
        return RopeTable::bytes(dims, tokens) +
               packed_bytes(static_cast<uint64_t>(dims.heads * dims.head_dim) * sizeof(float));
    }
};

} // namespace atelier
