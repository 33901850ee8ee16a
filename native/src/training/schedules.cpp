#include "training/schedules.h"
#include "base/error.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace atelier {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr const char* kSchedules = "constant, constant_with_warmup, linear, cosine, cosine_with_restarts, polynomial";

bool one_of(const std::string& name, std::initializer_list<const char*> names) {
    return std::any_of(names.begin(), names.end(), [&](const char* other) { return name == other; });
}

} // namespace

void LrSchedule::validate() const {
    require(one_of(name, {"constant", "constant_with_warmup", "linear", "cosine", "cosine_with_restarts", "polynomial"}), ErrorCode::invalid_argument,
            "learning-rate schedule \"", name, "\" is unknown; there are ", kSchedules);
    require(warmup >= 0 && total > 0, ErrorCode::invalid_argument, "a learning-rate schedule of ", total, " steps with ", warmup,
            " of warm-up; expected at least one step and no negative warm-up");
    require(cycles > 0 && power > 0 && std::isfinite(cycles) && std::isfinite(power), ErrorCode::invalid_argument, "a learning-rate schedule of ", cycles,
            " cycles and power ", power, "; both must be positive");
    constexpr double kPolynomialEnd = 1e-7;
    require(name != "polynomial" || lr > kPolynomialEnd, ErrorCode::invalid_argument, "a polynomial schedule ends at a rate of ", kPolynomialEnd,
            ": the learning rate ", lr, " must lie above it");
}

double LrSchedule::factor(int64_t step) const {
    if (name == "constant") return 1;
    const double at = static_cast<double>(step), warm = static_cast<double>(warmup), end = static_cast<double>(total);
    if (step < warmup) return at / std::max(1.0, warm);
    if (name == "constant_with_warmup") return 1;
    const double progress = (at - warm) / std::max(1.0, end - warm);
    if (name == "linear") return std::max(0.0, (end - at) / std::max(1.0, end - warm));
    if (name == "cosine") return std::max(0.0, 0.5 * (1 + std::cos(kPi * progress)));
    if (name == "cosine_with_restarts") return progress >= 1 ? 0 : std::max(0.0, 0.5 * (1 + std::cos(kPi * std::fmod(cycles * progress, 1.0))));
    // polynomial
    const double lr_end = 1e-7;
    if (step > total) return lr_end / lr;
    return ((lr - lr_end) * std::pow(1 - (at - warm) / (end - warm), power) + lr_end) / lr;
}

std::vector<double> lr_schedule(const std::string& name, int64_t warmup, int64_t total, double cycles, double power) {
    const LrSchedule schedule{name, warmup, total, cycles, power, 1};
    schedule.validate();
    std::vector<double> factors(static_cast<size_t>(total));
    for (int64_t step = 0; step < total; ++step) factors[static_cast<size_t>(step)] = schedule.factor(step);
    return factors;
}

void validate_weighting(const std::string& weighting) {
    require(one_of(weighting, {"none", "sigma_sqrt", "logit_normal", "mode", "cosmap"}), ErrorCode::invalid_argument, "weighting \"", weighting,
            "\" is unknown; there are none, sigma_sqrt, logit_normal, mode, cosmap");
}

double loss_weight(const std::string& weighting, double sigma) {
    validate_weighting(weighting);
    if (weighting == "sigma_sqrt") return 1 / (sigma * sigma);
    if (weighting == "cosmap") return 2 / (kPi * (1 - 2 * sigma + 2 * sigma * sigma));
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

int64_t draw_timestep(const TrainOptions& o, const PhiloxStream& stream) {
    double u = 0;
    if (o.weighting == "logit_normal") {
        u = 1 / (1 + std::exp(-(o.logit_mean + static_cast<double>(o.logit_std) * stream.normal_at(0))));
    } else {
        u = stream.uniform(0);
        if (o.weighting == "mode") {
            const double c = std::cos(kPi * u / 2);
            u = 1 - u - o.mode_scale * (c * c - 1 + u);
        }
    }
    const int64_t index = static_cast<int64_t>(u * static_cast<double>(o.num_train_timesteps));
    return std::clamp<int64_t>(index, 0, o.num_train_timesteps - 1); // u may round to 1
}

} // namespace atelier
