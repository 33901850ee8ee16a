// Flow matching, one element at a time. T is float, or the CPU backend's vector of floats.
#pragma once
#include "base/host_device.h"
#include <cmath>

namespace atelier {

template <class T>
ATELIER_HD static inline T flow_mix(T latent, T noise, T sigma, T rest) {
    return rest * latent + sigma * noise;
} // rest = 1 - sigma

ATELIER_HD static inline float flow_error(float prediction, float latent, float noise) {
    return prediction - (noise - latent);
}

// Pseudo-Huber loss of an error, 2 c (sqrt(e² + c²) - c), as conditional_loss of kohya's train_util.py has it: e² where
// the error is small beside c, 2 c |e| where it is large. Written without the difference, which a small error would
// lose.
ATELIER_HD static inline double huber(double error, double c) {
    return 2 * c * (error * error / (std::sqrt(error * error + c * c) + c));
}

ATELIER_HD static inline double huber_slope(double error, double c) {
    return 2 * c * error / std::sqrt(error * error + c * c);
}

template <class T>
ATELIER_HD static inline T euler(T latent, T velocity, T dt) {
    return latent + dt * velocity;
}

} // namespace atelier
