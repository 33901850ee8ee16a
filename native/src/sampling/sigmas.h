// The noise levels of a picture, as FluxPipeline and FlowMatchEulerDiscreteScheduler choose them.
#pragma once
#include "atelier/engine.h"

namespace atelier {

// exp(mu) shift of a sigma in (0, 1]; mu is linear in the token count ("resolution-dependent timestep shifting").
double shift_mu(int64_t image_tokens, const Sampler::Request& scheduler);

} // namespace atelier
