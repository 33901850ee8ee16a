// AdamW of one element in three hands. Orders of operations differ in the last digits, and a run of thousands of steps
// shows it: each follows its source. The constants of a step are worked out once, in double, as Python does.
#pragma once
#include "base/host_device.h"
#include "ops/ops.h"
#include <cmath>

namespace atelier {

struct AdamStep {
    float grad_scale, decay, beta1, beta2, rest1, rest2, root, eps, step;
    bool decays;
};

static inline AdamStep adam_step_base(const AdamArgs& a) {
    AdamStep s{};
    s.grad_scale = a.grad_scale;
    s.decay = static_cast<float>(1 - a.lr * a.weight_decay);
    s.beta1 = static_cast<float>(a.beta1);
    s.beta2 = static_cast<float>(a.beta2);
    s.rest1 = static_cast<float>(1 - a.beta1);
    s.rest2 = static_cast<float>(1 - a.beta2);
    s.decays = a.weight_decay > 0;
    return s;
}

static inline double adam_correction(double beta, int64_t step) {
    return 1 - std::pow(beta, static_cast<double>(step));
}

// torch.optim.AdamW, and bitsandbytes with 8-bit states: the root is divided by its bias correction.
static inline AdamStep adam_step(const AdamArgs& a) {
    AdamStep s = adam_step_base(a);
    s.root = static_cast<float>(std::sqrt(adam_correction(a.beta2, a.step)));
    s.eps = static_cast<float>(a.eps);
    s.step = static_cast<float>(-a.lr / adam_correction(a.beta1, a.step));
    return s;
}

// bitsandbytes with 32-bit states: eps is scaled by the bias correction instead.
static inline AdamStep adam_step_bnb32(const AdamArgs& a) {
    AdamStep s = adam_step_base(a);
    const double correction2 = std::sqrt(adam_correction(a.beta2, a.step));
    s.root = 1;
    s.eps = static_cast<float>(a.eps * correction2);
    s.step = static_cast<float>(-a.lr * correction2 / adam_correction(a.beta1, a.step));
    return s;
}

// torch.optim.AdamW
ATELIER_HD static inline void adam_torch_element(const AdamStep& s, float grad, float& p, float& m, float& v) {
    const float g = grad * s.grad_scale;
    p *= s.decay;
    m += s.rest1 * (g - m);
    v = v * s.beta2 + s.rest2 * g * g;
    p += s.step * m / (sqrtf(v) / s.root + s.eps);
}

// bitsandbytes with 32-bit states: tensors below 4096 elements.
ATELIER_HD static inline void adam_bnb32_element(const AdamStep& s, float grad, float& p, float& m, float& v) {
    const float g = grad * s.grad_scale;
    m = m * s.beta1 + s.rest1 * g;
    v = v * s.beta2 + s.rest2 * g * g;
    if (s.decays) p *= s.decay;
    p += s.step * (m / (sqrtf(v) + s.eps));
}

// bitsandbytes with 8-bit states; m and v as read from their codes, and to be coded again.
ATELIER_HD static inline void adam_bnb8_element(const AdamStep& s, float grad, float& p, float& m, float& v) {
    const float g = grad * s.grad_scale;
    m = m * s.beta1 + s.rest1 * g;
    v = v * s.beta2 + s.rest2 * g * g;
    if (s.decays) p *= s.decay;
    p += s.step * m / (sqrtf(v) / s.root + s.eps);
}

} // namespace atelier
