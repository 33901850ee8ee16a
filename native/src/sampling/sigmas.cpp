#include "sampling/sigmas.h"
#include "base/error.h"
#include <cmath>

namespace atelier {

double shift_mu(int64_t image_tokens, const SchedulerSettings& s) {
    require(s.max_seq_len > s.base_seq_len, ErrorCode::invalid_argument, "scheduler: max_image_seq_len ", s.max_seq_len,
        " must be above base_image_seq_len ", s.base_seq_len);
    const double slope =
        (static_cast<double>(s.max_shift) - s.base_shift) / static_cast<double>(s.max_seq_len - s.base_seq_len);
    return static_cast<double>(image_tokens) * slope + (s.base_shift - slope * static_cast<double>(s.base_seq_len));
}

SigmaSchedule inference_sigmas(int64_t steps, int64_t image_tokens, const SchedulerSettings& scheduler) {
    require(steps > 0 && steps <= 10000, ErrorCode::invalid_argument, steps, " steps: expected 1 to 10000");
    require(scheduler.shift > 0 && std::isfinite(scheduler.shift), ErrorCode::invalid_argument, "scheduler: shift ",
        scheduler.shift, ": expected a positive number");
    SigmaSchedule schedule;
    schedule.mu = shift_mu(image_tokens, scheduler);
    const double grown = std::exp(schedule.mu), last = 1.0 / static_cast<double>(steps);
    for (int64_t i = 0; i < steps; ++i) {
        const double part = steps == 1 ? 0 : static_cast<double>(i) / static_cast<double>(steps - 1);
        const double s = static_cast<float>(1 + part * (last - 1)); // the pipeline's list passes through float32
        schedule.sigmas.push_back(
            static_cast<float>(scheduler.dynamic_shifting ? grown / (grown + (1 / s - 1))
                                                          : scheduler.shift * s / (1 + (scheduler.shift - 1) * s)));
    }
    schedule.sigmas.push_back(0);
    return schedule;
}

} // namespace atelier
