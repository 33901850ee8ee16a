#include "models/flux/rope.h"
#include <cmath>

namespace atelier {

RopeTable::RopeTable(const TransformerDims& dims, int64_t text_tokens, int64_t grid_h, int64_t grid_w)
    : dim_(dims.head_dim) {
    const int64_t tokens = text_tokens + grid_h * grid_w;
    cos_.resize(static_cast<size_t>(tokens * dim_));
    sin_.resize(cos_.size());
    std::vector<double> frequency;
    std::vector<int> axis_of;
    for (int axis = 0; axis < 3; ++axis)
        for (int64_t i = 0; i < dims.axes_dims[axis]; i += 2) {
            frequency.push_back(
                1.0 / std::pow(10000.0, static_cast<double>(i) / static_cast<double>(dims.axes_dims[axis])));
            axis_of.push_back(axis);
        }
    for (int64_t t = 0; t < tokens; ++t) {
        const int64_t image = t - text_tokens;
        const double position[3] = {0, image < 0 ? 0.0 : static_cast<double>(image / grid_w),
            image < 0 ? 0.0 : static_cast<double>(image % grid_w)};
        for (size_t pair = 0; pair < frequency.size(); ++pair) {
            const double angle = position[axis_of[pair]] * frequency[pair];
            const size_t at = static_cast<size_t>(t * dim_) + 2 * pair;
            cos_[at] = cos_[at + 1] = static_cast<float>(std::cos(angle));
            sin_[at] = sin_[at + 1] = static_cast<float>(std::sin(angle));
        }
    }
}

void sinusoid_embedding(float value, int64_t channels, float* out) {
    const int64_t half = channels / 2;
    const float rate = static_cast<float>(-std::log(10000.0));
    for (int64_t i = 0; i < half; ++i) { // float32 throughout, as the reference: at 1000 the angles' rounding shows
        const float angle = value * std::exp(rate * static_cast<float>(i) / static_cast<float>(half));
        out[i] = std::cos(angle);
        out[half + i] = std::sin(angle);
    }
}

} // namespace atelier
