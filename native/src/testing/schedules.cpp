#include "training/schedules.h"
#include "atelier/testing.h"
#include "sampling/sigmas.h"

namespace atelier::testing {

std::vector<double> lr_schedule(LrScheduleKind kind, int64_t warmup, int64_t total, double cycles, double power) {
    const LrSchedule schedule{kind, warmup, total, cycles, power, 1};
    schedule.validate();
    std::vector<double> factors(static_cast<size_t>(total));
    for (int64_t step = 0; step < total; ++step) factors[static_cast<size_t>(step)] = schedule.factor(step);
    return factors;
}

double loss_weight(Weighting weighting, double sigma) { return atelier::loss_weight(weighting, sigma); }

SigmaSchedule inference_sigmas(int64_t steps, int64_t image_tokens, const SchedulerSettings& scheduler) {
    auto [sigmas, mu] = atelier::inference_sigmas(steps, image_tokens, scheduler);
    return {std::move(sigmas), mu};
}

} // namespace atelier::testing
