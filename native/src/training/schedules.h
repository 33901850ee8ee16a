// Learning-rate schedules, draws of the noise level and loss weights, as diffusers' training scripts (optimization.py,
// training_utils.py), kohya's and ai-toolkit's have them.
#pragma once
#include "atelier/train_options.h"
#include "base/philox.h"
#include <span>
#include <vector>

namespace atelier {

struct LrSchedule {
    LrScheduleKind kind = LrScheduleKind::constant;
    int64_t warmup = 0, total = 1;
    double cycles = 1, power = 1;
    double lr = 1; // the optimizer's own rate: polynomial ends at 1e-7 of it in absolute terms

    void validate() const;             // invalid_argument
    double factor(int64_t step) const; // of optimizer step `step`, counted from 0
};

// The sigma of each timestep index, highest first: (1000 - i) / 1000, and shifted where the scheduler does not shift by
// size itself.
std::vector<float> training_sigmas(int64_t num_train_timesteps, bool dynamic_shifting, float shift);

// 1, but for sigma_sqrt and cosmap (diffusers' compute_loss_weighting_for_sd3) and for bell: exp(-2 ((i - 500) /
// 1000)²) over the indices i = 1000 (1 - sigma), less its least value and with a mean of 1, as ai-toolkit's
// CustomFlowMatchEulerDiscreteScheduler has it.
double loss_weight(Weighting weighting, double sigma);

// c of Huber's loss: huber_c or, by the exponential schedule, exp(ln(huber_c) sigma), as kohya's
// get_huber_threshold_if_needed (train_util.py) has it. Its schedule snr needs alphas that a flow has not.
double huber_c_at(const DeclaredTrainOptions& options, double sigma);

// What the loss of a micro-step is multiplied by: its weight and, of smooth_l1, 1 / c, which makes Huber's loss it.
double loss_scale(const DeclaredTrainOptions& options, double sigma);

// How noisy a sample is made, and the timestep index that is nearest from above.
struct NoiseLevel {
    int64_t index = 0;
    float sigma = 0;
};

struct NoiseNumbers {
    double uniform = 0, normal = 0; // [0, 1); N(0, 1)
};

// From one number of either kind:
//   sigma     a sigma of the list at ⌊1000 u⌋: u uniform, or as logit_normal and mode have it (Stable Diffusion 3
//   paper,
//             section 3.1; diffusers' compute_density_for_timestep_sampling)
//   uniform   u                       (kohya's flux_train_utils.py)
//   sigmoid   1 / (1 + exp(-scale n)) (the same, after x-flux)
//   content   a sigma of the list at ⌊1000 u³⌋, style: at ⌊1000 (1 - u³)⌋ (ai-toolkit's content_or_style, after
//             section 3.4 of Mou et al. 2023, T2I-Adapter)
// then shifted to s t / (1 + (s - 1) t), with s of flow_shift (kohya's timestep_sampling shift) or exp(mu), mu linear
// in the packed tokens (its flux_shift, and diffusers' calculate_shift); then laid over min_sigma to max_sigma, as
// musubi- tuner's min_timestep and max_timestep do.
NoiseLevel noise_level(const DeclaredTrainOptions& options, std::span<const float> sigmas, int64_t image_tokens,
    const NoiseNumbers& drawn);

NoiseLevel draw_noise_level(const DeclaredTrainOptions& options, std::span<const float> sigmas, int64_t image_tokens,
    const PhiloxStream& stream);

} // namespace atelier
