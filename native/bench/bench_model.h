// What a benchmark computes on: a FLUX-shaped model by preset or by sizes, and inputs for it.
#pragma once
#include "atelier/testing.h"
#include <map>
#include <string>

namespace atelier::bench {

struct Shape {
    int64_t double_blocks = 2, single_blocks = 4, heads = 8, head_dim = 64, grid_h = 24, grid_w = 24, text = 77,
            joint = 1024, pooled = 256;
    TransformerDims dims() const;
};

// tiny, small, medium: the peer's presets. full: FLUX.1-dev at 512x768. invalid_argument for another name.
Shape preset(const std::string& name);

// Pseudo-random values in -1..1: what they are does not change the time.
std::vector<float> values(int64_t count, uint32_t seed);

// A checkpoint of the transformer in the published layout, float32: what start-up reads.
void save_checkpoint(const Shape& shape, const std::string& dir);

} // namespace atelier::bench
