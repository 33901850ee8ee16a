// Learning-rate schedules, timestep densities and loss weights of diffusers' training scripts (optimization.py,
// training_utils.py).
#pragma once
#include "atelier/train_options.h"
#include "base/philox.h"
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

double loss_weight(Weighting weighting, double sigma);

// A timestep index drawn by the weighting's density: uniform but for logit_normal and mode. Stable Diffusion 3 paper,
// section 3.1.
int64_t draw_timestep(const DeclaredTrainOptions& options, int64_t num_train_timesteps, const PhiloxStream& stream);

} // namespace atelier
