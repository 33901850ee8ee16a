#include "engine/train_plan.h"
#include "base/error.h"
#include "base/machine_memory.h"
#include "training/schedules.h"
#include <algorithm>
#include <cmath>

namespace atelier {

void check_train_options(const TrainOptions& o) {
    const auto number = [](double value, double least, const char* name) {
        require(std::isfinite(value) && value >= least, ErrorCode::invalid_argument, name, " is ", value, "; expected a number of at least ", least);
    };
    require(std::isfinite(o.lr) && o.lr > 0, ErrorCode::invalid_argument, "learning rate ", o.lr, ": expected a positive number");
    require(o.beta1 >= 0 && o.beta1 < 1 && o.beta2 >= 0 && o.beta2 < 1, ErrorCode::invalid_argument, "betas ", o.beta1, " and ", o.beta2, ": expected 0 up to, but not, 1");
    number(o.eps, 0, "eps");
    number(o.weight_decay, 0, "weight decay");
    require(std::isfinite(o.max_grad_norm) && o.max_grad_norm > 0, ErrorCode::invalid_argument, "max_grad_norm ", o.max_grad_norm, ": expected a positive number");
    require(o.accumulation > 0, ErrorCode::invalid_argument, "accumulation ", o.accumulation, ": expected at least 1");
    require(o.num_train_timesteps > 0, ErrorCode::invalid_argument, "num_train_timesteps ", o.num_train_timesteps, ": expected at least 1");
    require(std::isfinite(o.vae_scaling) && o.vae_scaling > 0 && std::isfinite(o.vae_shift), ErrorCode::invalid_argument, "VAE scaling ", o.vae_scaling, " and shift ", o.vae_shift,
            ": expected a positive and a finite number");
    require(o.shift > 0 && std::isfinite(o.shift), ErrorCode::invalid_argument, "scheduler shift ", o.shift, ": expected a positive number");
    require(std::isfinite(o.guidance) && std::isfinite(o.logit_mean) && std::isfinite(o.logit_std) && std::isfinite(o.mode_scale), ErrorCode::invalid_argument,
            "guidance, logit_mean, logit_std and mode_scale must be finite numbers");
    validate_weighting(o.weighting);
}

std::vector<FluxShape> training_shapes(const FluxDims& dims, const std::vector<Trainer::Shape>& shapes) {
    require(!shapes.empty(), ErrorCode::invalid_argument, "no picture shapes given; a plan needs every shape that the data set has");
    require(dims.in_channels == dims.out_channels && dims.in_channels % 4 == 0, ErrorCode::unsupported, "a transformer of ", dims.in_channels, " input and ", dims.out_channels,
            " output channels: only text-to-image transformers are trained, whose packed latents go in and come out");
    std::vector<FluxShape> once;
    for (const Trainer::Shape& s : shapes) {
        const FluxShape shape{s.grid_h, s.grid_w, s.text_tokens};
        check_shape(shape);
        const bool known = std::any_of(once.begin(), once.end(), [&](const FluxShape& o) { return o.grid_h == s.grid_h && o.grid_w == s.grid_w && o.text_tokens == s.text_tokens; });
        if (!known) once.push_back(shape);
    }
    return once;
}

uint64_t training_input_bytes(const FluxDims& dims, const std::vector<FluxShape>& shapes) {
    uint64_t tables = 0;
    int64_t latents = 0;
    for (const FluxShape& shape : shapes) {
        tables += FluxTables::bytes(dims, shape.tokens());
        latents = std::max(latents, shape.image_tokens() * dims.in_channels);
    }
    return tables + 3 * static_cast<uint64_t>(latents) * sizeof(float);
}

uint64_t spare_host_bytes() { return machine_memory() / 2; }

MemoryPlan::Choice summary(const MemoryChoice& choice, int64_t together) {
    const auto keeping = [&](BlockKeep keep) { return std::count(choice.keep.begin(), choice.keep.end(), keep); };
    const auto set = [](const std::vector<bool>& blocks) { return std::count(blocks.begin(), blocks.end(), true); };
    return {keeping(BlockKeep::input), keeping(BlockKeep::attention), keeping(BlockKeep::all), set(choice.parked), set(choice.resident), choice.modulation_resident,
            set(choice.widened), together};
}

MemoryPlan::Time summary(const StepTime& t) {
    return {t.total_ms(), t.forward_ms, t.backward_ms, t.again_ms, t.forward_transfer_ms, t.backward_transfer_ms, t.park_ms};
}

} // namespace atelier
