// Written by tools/options-header.mjs from proto/atelier/v1/training.proto: change that, not this.
// clang-format off
#pragma once
#include "atelier/option.h"
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace atelier {

enum class OptimizerKind { adamw8bit = 1, adamw = 2, adamw8bit_all = 3 };
inline constexpr EnumName<OptimizerKind> kOptimizerKindNames[] = {
    {OptimizerKind::adamw8bit, "adamw8bit"},
    {OptimizerKind::adamw, "adamw"},
    {OptimizerKind::adamw8bit_all, "adamw8bit_all"},
};
constexpr std::span<const EnumName<OptimizerKind>> names_of(OptimizerKind) { return kOptimizerKindNames; }

enum class LrScheduleKind { constant = 1, constant_with_warmup = 2, linear = 3, cosine = 4, cosine_with_restarts = 5, polynomial = 6 };
inline constexpr EnumName<LrScheduleKind> kLrScheduleKindNames[] = {
    {LrScheduleKind::constant, "constant"},
    {LrScheduleKind::constant_with_warmup, "constant_with_warmup"},
    {LrScheduleKind::linear, "linear"},
    {LrScheduleKind::cosine, "cosine"},
    {LrScheduleKind::cosine_with_restarts, "cosine_with_restarts"},
    {LrScheduleKind::polynomial, "polynomial"},
};
constexpr std::span<const EnumName<LrScheduleKind>> names_of(LrScheduleKind) { return kLrScheduleKindNames; }

enum class Weighting { none = 1, sigma_sqrt = 2, logit_normal = 3, mode = 4, cosmap = 5, bell = 6 };
inline constexpr EnumName<Weighting> kWeightingNames[] = {
    {Weighting::none, "none"},
    {Weighting::sigma_sqrt, "sigma_sqrt"},
    {Weighting::logit_normal, "logit_normal"},
    {Weighting::mode, "mode"},
    {Weighting::cosmap, "cosmap"},
    {Weighting::bell, "bell"},
};
constexpr std::span<const EnumName<Weighting>> names_of(Weighting) { return kWeightingNames; }

enum class TimestepSampling { sigma = 1, uniform = 2, sigmoid = 3, content = 4, style = 5 };
inline constexpr EnumName<TimestepSampling> kTimestepSamplingNames[] = {
    {TimestepSampling::sigma, "sigma"},
    {TimestepSampling::uniform, "uniform"},
    {TimestepSampling::sigmoid, "sigmoid"},
    {TimestepSampling::content, "content"},
    {TimestepSampling::style, "style"},
};
constexpr std::span<const EnumName<TimestepSampling>> names_of(TimestepSampling) { return kTimestepSamplingNames; }

enum class LossType { mse = 1, huber = 2, smooth_l1 = 3 };
inline constexpr EnumName<LossType> kLossTypeNames[] = {
    {LossType::mse, "mse"},
    {LossType::huber, "huber"},
    {LossType::smooth_l1, "smooth_l1"},
};
constexpr std::span<const EnumName<LossType>> names_of(LossType) { return kLossTypeNames; }

enum class HuberSchedule { constant = 1, exponential = 2 };
inline constexpr EnumName<HuberSchedule> kHuberScheduleNames[] = {
    {HuberSchedule::constant, "constant"},
    {HuberSchedule::exponential, "exponential"},
};
constexpr std::span<const EnumName<HuberSchedule>> names_of(HuberSchedule) { return kHuberScheduleNames; }

enum class BaseQuant { none = 1, nf4 = 2, nf4_double = 3 };
inline constexpr EnumName<BaseQuant> kBaseQuantNames[] = {
    {BaseQuant::none, "none"},
    {BaseQuant::nf4, "nf4"},
    {BaseQuant::nf4_double, "nf4_double"},
};
constexpr std::span<const EnumName<BaseQuant>> names_of(BaseQuant) { return kBaseQuantNames; }

// What a person may ask of training; TrainOptions adds what the machine and the checkpoint say.
struct DeclaredTrainOptions {
    // Length of the run. 1 to 1000000 optimizer steps.
    int64_t total_steps = 700;
    // Micro-steps whose gradients one optimizer step takes together (gradient accumulation). 1 to 4096 micro-steps.
    int64_t accumulation = 1;
    // Equal seeds train equal adapters. At least 0.
    uint64_t seed = 0;
    // Rank of the LoRA matrices (Hu et al. 2021). 1 to 1024.
    int64_t rank = 4;
    // LoRA alpha; the update is scaled by alpha / rank. Above 0, at most 65536.
    std::optional<float> alpha; // default: the rank
    // Linear layers to adapt, as peft matches them: a module path, or its last parts.
    std::vector<std::string> targets = {"to_k", "to_q", "to_v", "to_out.0"};
    // adamw is PyTorch's; adamw8bit is bitsandbytes', with 8-bit states for tensors of at least 4096 elements,
    // adamw8bit_all with 8-bit states for all.
    OptimizerKind optimizer = OptimizerKind::adamw8bit;
    // Peak learning rate. Above 0, at most 10.
    double learning_rate = 0.0001;
    // How the learning rate goes on, as diffusers' get_scheduler has it.
    LrScheduleKind lr_schedule = LrScheduleKind::constant;
    // Steps until the peak learning rate; the constant schedule has none, and refuses them. 0 to 1000000 optimizer
    // steps.
    int64_t warmup_steps = 0;
    // Times that cosine_with_restarts falls from the peak to zero (Loshchilov and Hutter 2017). 1 to 1000000.
    int64_t lr_num_cycles = 1;
    // Exponent of the polynomial schedule, which falls to a rate of 1e-7 as diffusers' does. Above 0, at most 100.
    double lr_power = 1;
    // Decay of the running mean of gradients (Adam, Kingma and Ba 2015). At least 0, below 1.
    double adam_beta1 = 0.9;
    // Decay of the running mean of squared gradients (Adam, Kingma and Ba 2015). At least 0, below 1.
    double adam_beta2 = 0.999;
    // Added to the denominator of the update, so that it is never zero (Adam, Kingma and Ba 2015). Above 0, at most 1.
    double adam_epsilon = 1e-8;
    // Decoupled weight decay: this share of each weight, times the learning rate, is taken off in each step (AdamW,
    // Loshchilov and Hutter 2019). 0 to 1.
    double weight_decay = 0.0001;
    // The gradient's norm is clipped to this, over all adapted layers together, once per optimizer step. Above 0, at
    // most 1000000.
    float max_grad_norm = 1;
    // How timesteps are drawn (logit_normal, mode: Esser et al. 2024, section 3.1) or the loss is weighted (sigma_sqrt,
    // cosmap of the same section; bell: ai-toolkit's, most at sigma 0.5).
    Weighting weighting = Weighting::none;
    // Mean of weighting logit_normal: the timestep's place is the sigmoid of a normal number. -100 to 100.
    float logit_mean = 0;
    // Standard deviation of the normal number of weighting logit_normal. Above 0, at most 100.
    float logit_std = 1;
    // Scale s of weighting mode: the timestep's place is 1 - u - s (cos(pi u / 2)^2 - 1 + u) of a uniform u. -100 to
    // 100.
    float mode_scale = 1.29f;
    // Where sigma is drawn: among the scheduler's, as weighting says (sigma), from 0 to 1 (uniform), at the sigmoid of
    // a normal number (sigmoid), or with more noise (content) or less (style), as ai-toolkit does.
    TimestepSampling timestep_sampling = TimestepSampling::sigma;
    // Factor of the normal number of timestep_sampling sigmoid: smaller keeps sigma near 0.5. Above 0, at most 100.
    double sigmoid_scale = 1;
    // Shift s of the drawn sigma t, to s t / (1 + (s - 1) t): above 1 is more noise, so composition; below 1 is less,
    // so detail. Above 0, at most 100.
    double flow_shift = 1;
    // Shift the drawn sigma by the picture's size, as drawing does: flow_shift exp(mu), with mu from 0.5 at 256 tokens
    // to 1.15 at 4096.
    bool resolution_shift = false;
    // Least noise that is trained on: what is drawn from 0 to 1 is laid over min_sigma to max_sigma. At least 0, below
    // 1.
    double min_sigma = 0;
    // Most noise that is trained on. Above 0, at most 1.
    double max_sigma = 1;
    // Mean squared error, or one that grows slower for large errors e, as kohya's scripts have it: 2 c (sqrt(e^2 + c^2)
    // - c) (huber) or 1 / c of it (smooth_l1).
    LossType loss_type = LossType::mse;
    // The error c from which loss_type huber and smooth_l1 grow as the error does, not as its square. Above 0, at most
    // 100.
    double huber_c = 0.1;
    // Whether c is the same at each sigma, or huber_c to the power of sigma (exponential): 1 where there is no noise,
    // huber_c where there is nothing else.
    HuberSchedule huber_schedule = HuberSchedule::constant;
    // Guidance input while training; ignored by checkpoints without one. 0 to 100.
    float guidance = 1;
    // Forward once more in backward instead of keeping activations (gradient checkpointing, Chen et al. 2016).
    bool recompute = true;
    // Decay of an exponential moving average of the adapter over the steps, kept as NAME@ema; 0: none. At least 0,
    // below 1.
    double ema_decay = 0;

    float alpha_or_default() const { return alpha.value_or(static_cast<float>(rank)); }
};

// f(OptionInfo, member) for each: whoever reads or checks them all needs no list of his own.
template <class Options, class F>
void for_each_option(Options& options, F&& f) {
    f(OptionInfo{.name = "total_steps", .min = 1, .max = 1000000}, options.total_steps);
    f(OptionInfo{.name = "accumulation", .min = 1, .max = 4096}, options.accumulation);
    f(OptionInfo{.name = "seed", .min = 0}, options.seed);
    f(OptionInfo{.name = "rank", .min = 1, .max = 1024}, options.rank);
    f(OptionInfo{.name = "alpha", .min = 0, .max = 65536, .above_min = true}, options.alpha);
    f(OptionInfo{.name = "targets"}, options.targets);
    f(OptionInfo{.name = "optimizer"}, options.optimizer);
    f(OptionInfo{.name = "learning_rate", .min = 0, .max = 10, .above_min = true}, options.learning_rate);
    f(OptionInfo{.name = "lr_schedule"}, options.lr_schedule);
    f(OptionInfo{.name = "warmup_steps", .min = 0, .max = 1000000}, options.warmup_steps);
    f(OptionInfo{.name = "lr_num_cycles", .min = 1, .max = 1000000}, options.lr_num_cycles);
    f(OptionInfo{.name = "lr_power", .min = 0, .max = 100, .above_min = true}, options.lr_power);
    f(OptionInfo{.name = "adam_beta1", .min = 0, .max = 1, .below_max = true}, options.adam_beta1);
    f(OptionInfo{.name = "adam_beta2", .min = 0, .max = 1, .below_max = true}, options.adam_beta2);
    f(OptionInfo{.name = "adam_epsilon", .min = 0, .max = 1, .above_min = true}, options.adam_epsilon);
    f(OptionInfo{.name = "weight_decay", .min = 0, .max = 1}, options.weight_decay);
    f(OptionInfo{.name = "max_grad_norm", .min = 0, .max = 1000000, .above_min = true}, options.max_grad_norm);
    f(OptionInfo{.name = "weighting"}, options.weighting);
    f(OptionInfo{.name = "logit_mean", .min = -100, .max = 100}, options.logit_mean);
    f(OptionInfo{.name = "logit_std", .min = 0, .max = 100, .above_min = true}, options.logit_std);
    f(OptionInfo{.name = "mode_scale", .min = -100, .max = 100}, options.mode_scale);
    f(OptionInfo{.name = "timestep_sampling"}, options.timestep_sampling);
    f(OptionInfo{.name = "sigmoid_scale", .min = 0, .max = 100, .above_min = true}, options.sigmoid_scale);
    f(OptionInfo{.name = "flow_shift", .min = 0, .max = 100, .above_min = true}, options.flow_shift);
    f(OptionInfo{.name = "resolution_shift"}, options.resolution_shift);
    f(OptionInfo{.name = "min_sigma", .min = 0, .max = 1, .below_max = true}, options.min_sigma);
    f(OptionInfo{.name = "max_sigma", .min = 0, .max = 1, .above_min = true}, options.max_sigma);
    f(OptionInfo{.name = "loss_type"}, options.loss_type);
    f(OptionInfo{.name = "huber_c", .min = 0, .max = 100, .above_min = true}, options.huber_c);
    f(OptionInfo{.name = "huber_schedule"}, options.huber_schedule);
    f(OptionInfo{.name = "guidance", .min = 0, .max = 100}, options.guidance);
    f(OptionInfo{.name = "recompute"}, options.recompute);
    f(OptionInfo{.name = "ema_decay", .min = 0, .max = 1, .below_max = true}, options.ema_decay);
}

} // namespace atelier
