// Rotary positions of the joint sequence: text tokens at (0, 0, 0), image tokens at (0, row, column).
#pragma once
#include "atelier/types.h"
#include "tensor/view.h"
#include <vector>

namespace atelier {

// cos and sin, each (text_tokens + grid_h * grid_w, head_dim), every value twice for its pair of channels. Frequencies
// are 10000^(-2i/axis) in double, as diffusers computes them.
class RopeTable {
public:
    RopeTable(const TransformerDims& dims, int64_t text_tokens, int64_t grid_h, int64_t grid_w);
    View cos() const { return view(cos_); }
    View sin() const { return view(sin_); }
    static uint64_t bytes(const TransformerDims& dims, int64_t tokens) {
        return static_cast<uint64_t>(2 * tokens * dims.head_dim) * sizeof(float);
    }

private:
    View view(const std::vector<float>& table) const {
        return {const_cast<float*>(table.data()), static_cast<int64_t>(table.size()) / dim_, dim_, dim_, DType::f32};
    }
    int64_t dim_;
    std::vector<float> cos_, sin_;
};

// `channels` sinusoids of a timestep or guidance value: cosines first, then sines.
void sinusoid_embedding(float value, int64_t channels, float* out);

} // namespace atelier
