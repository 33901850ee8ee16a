// The noise levels of a picture, as diffusers' pipeline and FlowMatchEulerDiscreteScheduler choose them.
#pragma once
#include "atelier/types.h"

namespace atelier {

// exp(mu) shift of a sigma in (0, 1]; mu is linear in the token count ("resolution-dependent timestep shifting").
double shift_mu(int64_t image_tokens, const SchedulerSettings& scheduler);

struct SigmaSchedule {
    std::vector<float> sigmas; // steps + 1, last 0
    double mu = 0;
};
SigmaSchedule inference_sigmas(int64_t steps, int64_t image_tokens, const SchedulerSettings& scheduler);

} // namespace atelier
