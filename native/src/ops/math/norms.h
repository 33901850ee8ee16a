// Norms, modulation and rotary embedding of one element: what both backends compute once a row's sums are known. T is
// float, or the CPU backend's vector of floats.
#pragma once
#include "base/host_device.h"

namespace atelier {

template <class T>
ATELIER_HD static inline T gated_sum(T x, T gate, T branch) {
    return x + gate * branch;
}

template <class T>
ATELIER_HD static inline T normalised(T x, T mean, T inverse) {
    return (x - mean) * inverse;
}

template <class T>
ATELIER_HD static inline T modulated(T normal, T shift, T scale) {
    return normal * (1.0f + scale) + shift;
}

// Gradient of the normalised value, and with its two row means the gradient of x.
template <class T>
ATELIER_HD static inline T modulated_slope(T dy, T scale) {
    return dy * (1.0f + scale);
}

template <class T>
ATELIER_HD static inline T norm_slope(T dnormal, T normal, T inverse, T mean_dnormal, T mean_dnormal_normal) {
    return inverse * (dnormal - mean_dnormal - normal * mean_dnormal_normal);
}

// Neighbour pairs (2i, 2i+1) of a head, turned by their angle.
struct Pair {
    float first, second;
};

ATELIER_HD static inline Pair rotated(Pair p, Pair cos, Pair sin) {
    return {p.first * cos.first - p.second * sin.first, p.second * cos.second + p.first * sin.second};
}

// The transpose of `rotated`: gradients go back through it.
ATELIER_HD static inline Pair rotated_back(Pair d, Pair cos, Pair sin) {
    return {d.first * cos.first + d.second * sin.second, d.second * cos.second - d.first * sin.first};
}

// RMSNorm: dx of one element; pull = sum(dnormal·x) · inverse³ / dim.
ATELIER_HD static inline float rms_slope(float dnormal, float x, float inverse, float pull) {
    return dnormal * inverse - x * pull;
}

} // namespace atelier
