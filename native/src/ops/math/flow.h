// Flow matching, one element at a time. T is float, or the CPU backend's vector of floats.
#pragma once
#include "base/host_device.h"

namespace atelier {

template <class T>
ATELIER_HD static inline T flow_mix(T latent, T noise, T sigma, T rest) {
    return rest * latent + sigma * noise;
} // rest = 1 - sigma

ATELIER_HD static inline float flow_error(float prediction, float latent, float noise) {
    return prediction - (noise - latent);
}

template <class T>
ATELIER_HD static inline T euler(T latent, T velocity, T dt) {
    return latent + dt * velocity;
}

} // namespace atelier
