#include "training/schedules.h"
#include "base/error.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace atelier {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kPolynomialEnd = 1e-7; // diffusers' lr_end

} // namespace

void LrSchedule::validate() const {
    require(name_of(kind) != nullptr, ErrorCode::invalid_argument, "learning-rate schedule ", static_cast<int>(kind),
        " is unknown; there are ", list_of_names<LrScheduleKind>());
    require(warmup >= 0 && total > 0, ErrorCode::invalid_argument, "a learning-rate schedule of ", total,
        " steps with ", warmup, " of warm-up; expected at least one step and no negative warm-up");
    require(cycles > 0 && power > 0 && std::isfinite(cycles) && std::isfinite(power), ErrorCode::invalid_argument,
        "a learning-rate schedule of ", cycles, " cycles and power ", power, "; both must be positive");
    require(kind != LrScheduleKind::polynomial || lr > kPolynomialEnd, ErrorCode::invalid_argument,
        "a polynomial schedule ends at a rate of ", kPolynomialEnd, ": the learning rate ", lr, " must lie above it");
}

double LrSchedule::factor(int64_t step) const {
    using enum LrScheduleKind;
    if (kind == constant) return 1;
    const double at = static_cast<double>(step), warm = static_cast<double>(warmup), end = static_cast<double>(total);
    if (step < warmup) return at / std::max(1.0, warm);
    if (kind == constant_with_warmup) return 1;
    const double progress = (at - warm) / std::max(1.0, end - warm);
    if (kind == linear) return std::max(0.0, (end - at) / std::max(1.0, end - warm));
    if (kind == cosine) return std::max(0.0, 0.5 * (1 + std::cos(kPi * progress)));
    if (kind == cosine_with_restarts)
        return progress >= 1 ? 0 : std::max(0.0, 0.5 * (1 + std::cos(kPi * std::fmod(cycles * progress, 1.0))));
    // polynomial
    if (step > total) return kPolynomialEnd / lr;
    return ((lr - kPolynomialEnd) * std::pow(1 - (at - warm) / (end - warm), power) + kPolynomialEnd) / lr;
}

double loss_weight(Weighting weighting, double sigma) {
    if (weighting == Weighting::sigma_sqrt) return 1 / (sigma * sigma);
    if (weighting == Weighting::cosmap) return 2 / (kPi * (1 - 2 * sigma + 2 * sigma * sigma));
    return 1;
}

std::vector<float> training_sigmas(int64_t count, bool dynamic_shifting, float shift) {
    std::vector<float> sigmas(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
        const float s = static_cast<float>(count - i) / static_cast<float>(count);
        sigmas[static_cast<size_t>(i)] = dynamic_shifting ? s : shift * s / (1 + (shift - 1) * s);
    }
    return sigmas;
}

int64_t draw_timestep(const DeclaredTrainOptions& o, int64_t num_train_timesteps, const PhiloxStream& stream) {
    double u = 0;
    if (o.weighting == Weighting::logit_normal) {
        u = 1 / (1 + std::exp(-(o.logit_mean + static_cast<double>(o.logit_std) * stream.normal_at(0))));
    } else {
        u = stream.uniform(0);
        if (o.weighting == Weighting::mode) {
            const double c = std::cos(kPi * u / 2);
            u = 1 - u - o.mode_scale * (c * c - 1 + u);
        }
    }
    const int64_t index = static_cast<int64_t>(u * static_cast<double>(num_train_timesteps));
    return std::clamp<int64_t>(index, 0, num_train_timesteps - 1); // u may round to 1
}

} // namespace atelier
