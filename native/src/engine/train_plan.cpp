#include "engine/train_plan.h"
#include "base/error.h"
#include "base/machine_memory.h"
#include <algorithm>
#include <cmath>
#include <sstream>
#include <type_traits>

namespace atelier {
namespace {

// "1000000", which a stream would write as 1e+06.
std::string shown(double number) {
    std::ostringstream text;
    text.precision(10);
    text << number;
    return text.str();
}

template <class T>
    requires std::is_arithmetic_v<T>
void check_option(const OptionInfo& info, const T& value) {
    const double number = static_cast<double>(value);
    require(std::isfinite(number) && info.allows(number), ErrorCode::invalid_argument, info.name, " ", shown(number),
        ": expected a number ", info.above_min ? "above " : "of at least ", shown(info.min),
        info.below_max ? " and below " : " and at most ", shown(info.max));
}

template <class T>
    requires std::is_enum_v<T>
void check_option(const OptionInfo& info, const T& value) {
    require(name_of(value) != nullptr, ErrorCode::invalid_argument, info.name, " ", static_cast<int>(value),
        " is unknown; there are ", list_of_names<T>());
}

template <class T>
void check_option(const OptionInfo& info, const std::optional<T>& value) {
    if (value) check_option(info, *value);
}

void check_option(const OptionInfo&, const std::vector<std::string>&) {} // LoraBank looks for what they name

// Options that are each within their limits and yet ask for what cannot be.
void check_noise_options(const TrainOptions& o) {
    using enum TimestepSampling;
    require(o.min_sigma < o.max_sigma, ErrorCode::invalid_argument, "min_sigma ", shown(o.min_sigma),
        " is not below max_sigma ", shown(o.max_sigma), ": nothing is left to be trained on");
    require(!o.resolution_shift || o.flow_shift == 1, ErrorCode::invalid_argument, "flow_shift ", shown(o.flow_shift),
        ": resolution_shift is on, which makes a shift of its own; give one of them");
    require(o.timestep_sampling == sigma || (o.weighting != Weighting::logit_normal && o.weighting != Weighting::mode),
        ErrorCode::invalid_argument, "weighting ", name_of(o.weighting), " draws among the scheduler's sigmas, and ",
        "timestep_sampling ", name_of(o.timestep_sampling), " draws otherwise; give one of them");
    const bool unbounded = o.timestep_sampling == uniform || o.timestep_sampling == sigmoid;
    require(o.weighting != Weighting::sigma_sqrt || !unbounded || o.min_sigma > 0, ErrorCode::invalid_argument,
        "weighting sigma_sqrt divides by sigma², which timestep_sampling ", name_of(o.timestep_sampling),
        " draws as close to 0 as may be; give a min_sigma, such as 0.001");
}

} // namespace

void check_train_options(const TrainOptions& o) {
    for_each_option(o, [](const OptionInfo& info, const auto& value) { check_option(info, value); });
    require(o.num_train_timesteps > 0, ErrorCode::invalid_argument, "num_train_timesteps ", o.num_train_timesteps,
        ": expected at least 1");
    require(std::isfinite(o.vae_scaling) && o.vae_scaling > 0 && std::isfinite(o.vae_shift),
        ErrorCode::invalid_argument, "VAE scaling ", o.vae_scaling, " and shift ", o.vae_shift,
        ": expected a positive and a finite number");
    require(o.shift > 0 && std::isfinite(o.shift), ErrorCode::invalid_argument, "scheduler shift ", o.shift,
        ": expected a positive number");
    check_noise_options(o);
}

std::vector<TransformerShape> training_shapes(const TransformerDims& dims, const std::vector<TrainShape>& shapes) {
    require(!shapes.empty(), ErrorCode::invalid_argument,
        "no picture shapes given; a plan needs every shape that the data set has");
    require(dims.in_channels == dims.out_channels && dims.in_channels % 4 == 0, ErrorCode::unsupported,
        "a transformer of ", dims.in_channels, " input and ", dims.out_channels,
        " output channels: only text-to-image transformers are trained, whose packed latents go in and come out");
    std::vector<TransformerShape> once;
    for (const TrainShape& s : shapes) {
        const TransformerShape shape{s.grid_h, s.grid_w, s.text_tokens};
        check_shape(shape);
        const bool known = std::any_of(once.begin(), once.end(), [&](const TransformerShape& o) {
            return o.grid_h == s.grid_h && o.grid_w == s.grid_w && o.text_tokens == s.text_tokens;
        });
        if (!known) once.push_back(shape);
    }
    return once;
}

uint64_t training_input_bytes(const TransformerDims& dims, const std::vector<TransformerShape>& shapes) {
    uint64_t tables = 0;
    int64_t latents = 0;
    for (const TransformerShape& shape : shapes) {
        tables += TransformerTables::bytes(dims, shape.tokens());
        latents = std::max(latents, shape.image_tokens() * dims.in_channels);
    }
    return tables + 3 * static_cast<uint64_t>(latents) * sizeof(float);
}

uint64_t spare_host_bytes() { return machine_memory() / 2; }

MemoryPlan::Choice summary(const MemoryChoice& choice, int64_t together) {
    const auto keeping = [&](BlockKeep keep) { return std::count(choice.keep.begin(), choice.keep.end(), keep); };
    const auto set = [](const std::vector<bool>& blocks) { return std::count(blocks.begin(), blocks.end(), true); };
    return {keeping(BlockKeep::input), keeping(BlockKeep::attention), keeping(BlockKeep::all), set(choice.parked),
        set(choice.resident), choice.modulation_resident, set(choice.widened), together};
}

MemoryPlan::Time summary(const StepTime& t) {
    return {t.total_ms(), t.forward_ms, t.backward_ms, t.again_ms, t.forward_transfer_ms, t.backward_transfer_ms,
        t.park_ms};
}

} // namespace atelier
