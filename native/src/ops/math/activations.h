// Activations and their slopes, one element at a time: the formulas both backends compute.
#pragma once
#include "base/host_device.h"
#include "ops/ops.h"
#include <cmath>

namespace atelier {

ATELIER_HD static inline float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

ATELIER_HD static inline float activate(Activation kind, float x) {
    switch (kind) {
        case Activation::none: return x;
        case Activation::gelu_tanh: return 0.5f * x * (1.0f + tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x)));
        case Activation::silu: return x * sigmoid(x);
        case Activation::quick_gelu: return x * sigmoid(1.702f * x);
        case Activation::gelu_erf: return 0.5f * x * (1.0f + erff(x * 0.7071067811865475f));
    }
    return x;
}

ATELIER_HD static inline float activation_slope(Activation kind, float x) {
    switch (kind) {
        case Activation::none: return 1.0f;
        case Activation::gelu_tanh: {
            const float t = tanhf(0.7978845608028654f * (x + 0.044715f * x * x * x));
            return 0.5f * (1.0f + t) +
                   0.5f * x * (1.0f - t * t) * 0.7978845608028654f * (1.0f + 3.0f * 0.044715f * x * x);
        }
        case Activation::silu: {
            const float s = sigmoid(x);
            return s * (1.0f + x * (1.0f - s));
        }
        case Activation::quick_gelu: {
            const float s = sigmoid(1.702f * x);
            return s * (1.0f + 1.702f * x * (1.0f - s));
        }
        case Activation::gelu_erf:
            return 0.5f * (1.0f + erff(x * 0.7071067811865475f)) + x * 0.3989422804014327f * expf(-0.5f * x * x);
    }
    return 1.0f;
}

} // namespace atelier
