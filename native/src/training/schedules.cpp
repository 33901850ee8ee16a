#include "training/schedules.h"
#include "base/error.h"
#include <algorithm>
#include <cmath>
#include <numbers>

namespace atelier {
namespace {

constexpr double kPi = std::numbers::pi;
constexpr double kPolynomialEnd = 1e-7; // diffusers' lr_end

// The bell over indices 0 to 999, down to zero at its ends, and what brings its mean to 1.
double bell(double index) {
    const double from_middle = (index - 500) / 1000;
    return std::max(0.0, std::exp(-2 * from_middle * from_middle) - std::exp(-0.5));
}

double bell_scale() {
    double sum = 0;
    for (int index = 0; index < 1000; ++index) sum += bell(index);
    return 1000 / sum;
}

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
    if (weighting == Weighting::bell) {
        static const double scale = bell_scale();
        return scale * bell(1000 * (1 - sigma));
    }
    return 1;
}

double huber_c_at(const DeclaredTrainOptions& o, double sigma) {
    return o.huber_schedule == HuberSchedule::exponential ? std::pow(o.huber_c, sigma) : o.huber_c;
}

double loss_scale(const DeclaredTrainOptions& o, double sigma) {
    return loss_weight(o.weighting, sigma) / (o.loss_type == LossType::smooth_l1 ? huber_c_at(o, sigma) : 1);
}

std::vector<float> training_sigmas(int64_t count, bool dynamic_shifting, float shift) {
    std::vector<float> sigmas(static_cast<size_t>(count));
    for (int64_t i = 0; i < count; ++i) {
        const float s = static_cast<float>(count - i) / static_cast<float>(count);
        sigmas[static_cast<size_t>(i)] = dynamic_shifting ? s : shift * s / (1 + (shift - 1) * s);
    }
    return sigmas;
}

namespace {

// diffusers' compute_density_for_timestep_sampling, and the index that its scripts make of it.
double density(const DeclaredTrainOptions& o, double uniform, double normal) {
    if (o.weighting == Weighting::logit_normal)
        return 1 / (1 + std::exp(-(o.logit_mean + static_cast<double>(o.logit_std) * normal)));
    if (o.weighting != Weighting::mode) return uniform;
    const double c = std::cos(kPi * uniform / 2);
    return 1 - uniform - o.mode_scale * (c * c - 1 + uniform);
}

int64_t index_at(double place, int64_t count) { // a place may round to 1
    return std::clamp<int64_t>(static_cast<int64_t>(place * static_cast<double>(count)), 0, count - 1);
}

double shift_of(const DeclaredTrainOptions& o, int64_t image_tokens) {
    if (!o.resolution_shift) return o.flow_shift;
    const double slope = (1.15 - 0.5) / (4096 - 256);
    return std::exp(0.5 + slope * static_cast<double>(image_tokens - 256));
}

} // namespace

NoiseLevel noise_level(
    const DeclaredTrainOptions& o, std::span<const float> sigmas, int64_t image_tokens, const NoiseNumbers& drawn) {
    using enum TimestepSampling;
    const auto count = static_cast<int64_t>(sigmas.size());
    const double u = drawn.uniform, cube = u * u * u, shift = shift_of(o, image_tokens);
    const bool of_list = o.timestep_sampling != uniform && o.timestep_sampling != sigmoid;
    const double place = o.timestep_sampling == content ? cube
                         : o.timestep_sampling == style ? 1 - cube
                                                        : density(o, u, drawn.normal);
    const int64_t index = index_at(place, count);
    if (of_list && shift == 1 && o.min_sigma == 0 && o.max_sigma == 1)
        return {index, sigmas[static_cast<size_t>(index)]};
    double level = of_list                          ? static_cast<double>(sigmas[static_cast<size_t>(index)])
                   : o.timestep_sampling == uniform ? u
                                                    : 1 / (1 + std::exp(-o.sigmoid_scale * drawn.normal));
    level = shift * level / (1 + (shift - 1) * level);
    level = o.min_sigma + (o.max_sigma - o.min_sigma) * level;
    return {index_at(1 - level, count), static_cast<float>(level)};
}

NoiseLevel draw_noise_level(const DeclaredTrainOptions& options, std::span<const float> sigmas, int64_t image_tokens,
    const PhiloxStream& stream) {
    return noise_level(options, sigmas, image_tokens, {stream.uniform(0), stream.normal_at(0)});
}

} // namespace atelier
