// Scoring: the loss of a sample that is not trained on, without a gradient and without a trace in the run.
#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/trainer.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

constexpr int64_t kMostPairs = 64;

bool same_shape(const TransformerShape& a, const Trainer::Shape& b) {
    return a.grid_h == b.grid_h && a.grid_w == b.grid_w && a.text_tokens == b.text_tokens;
}

} // namespace

// Recorded when it is first asked for: a run without a held-out share has no use for it.
const MicroProgram& Trainer::Impl::scoring_program(const Shape& shape) {
    const auto made =
        std::find_if(scoring.begin(), scoring.end(), [&](const auto& p) { return same_shape(p->shape, shape); });
    if (made != scoring.end()) return **made;
    // Programs are made for one shape after the other, for as many group sizes each.
    const auto trained =
        std::find_if(programs.begin(), programs.end(), [&](const auto& p) { return same_shape(p->shape, shape); });
    const size_t kind = static_cast<size_t>(trained - programs.begin()) / group_sizes(together).size();
    TransformerLayers layers = base.weights.layers();
    bank.bind(layers);
    MicroProgramOptions of;
    of.activations = base.ops().activations();
    of.forward_only = true;
    auto program = std::make_unique<MicroProgram>(layers, (*trained)->shape, tables[kind], of);
    require(program->program.plan().arena_bytes <= arena_bytes, ErrorCode::internal, "scoring takes ",
        program->program.plan().arena_bytes, " bytes of an arena of ", arena_bytes);
    program->connect(*weights, *constants, nullptr);
    return *scoring.emplace_back(std::move(program));
}

std::vector<Trainer::MicroResult> Trainer::Impl::score(
    const Sample& sample, int64_t pairs, const EngineProgress& progress) {
    require_whole();
    require(pairs > 0 && pairs <= kMostPairs && pairs <= options.num_train_timesteps, ErrorCode::invalid_argument,
        pairs, " pairs of noise level and noise to score at: expected 1 to ",
        std::min(kMostPairs, options.num_train_timesteps));
    check(sample);
    const MicroProgram& p = scoring_program(sample.shape);
    const MicroProgram::Sample& to = p.samples.front();
    const Program::Resolver at = p.program.resolver(arena->data());
    const auto count = static_cast<size_t>(sample.shape.grid_h * sample.shape.grid_w * base.dims().in_channels);
    std::vector<float> drawn_eps(count), drawn_noise(count);
    const std::lock_guard lock(base.device->impl->busy);
    last_program = nullptr;
    std::vector<MicroResult> results;
    for (int64_t pair = 0; pair < pairs; ++pair) {
        const Draw draw{options.seed, static_cast<uint64_t>(pair), sample.sample_id};
        Sample given = sample;
        if (!given.eps) {
            draw.stream(RandomUse::held_out_posterior).normal(0, drawn_eps);
            given.eps = drawn_eps;
        }
        if (!given.noise) {
            draw.stream(RandomUse::held_out_noise).normal(0, drawn_noise);
            given.noise = drawn_noise;
        }
        MicroResult& result = results.emplace_back();
        const double place = (static_cast<double>(pair) + draw.stream(RandomUse::held_out_timestep).uniform(0)) /
                             static_cast<double>(pairs);
        result.timestep_index = sample.timestep_index.value_or(
            std::min(static_cast<int64_t>(place * static_cast<double>(options.num_train_timesteps)),
                options.num_train_timesteps - 1));
        result.sigma = sigmas[static_cast<size_t>(result.timestep_index)];
        write_inputs(p.shape, to, at, given, draw, result.sigma);
        const float unweighted = 1;
        write_view(base.memory(), at(to.weight), &unweighted);
        high_water = std::max(high_water, p.program.run(base.ops(), arena->data(), internal_progress(progress)));
        result.loss = values_of(base.memory(), at(to.loss)).front();
        require(std::isfinite(result.loss), ErrorCode::internal, "the held-out loss is not finite at step ", step,
            "; lower the learning rate, or look for weights or latents that are out of range");
    }
    return results;
}

std::vector<Trainer::MicroResult> Trainer::score(const Sample& sample, int64_t pairs, const EngineProgress& progress) {
    return impl->score(sample, pairs, progress);
}

} // namespace atelier
