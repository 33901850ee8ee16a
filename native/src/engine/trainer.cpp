#include "engine/trainer.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/train_plan.h"
#include "engine/training_state.h"
#include "models/transformer.h"
#include "training/step_costs.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

LrSchedule schedule_of(const TrainOptions& o) {
    return {o.lr_schedule, o.warmup_steps, o.total_steps, static_cast<double>(o.lr_num_cycles), o.lr_power,
        o.learning_rate};
}

template <class A>
bool same_shape(const A& a, const Trainer::Shape& b) {
    return a.grid_h == b.grid_h && a.grid_w == b.grid_w && a.text_tokens == b.text_tokens;
}

// f(index into (channels, 2 grid_h, 2 grid_w), view's element) for every element of the packed latents (tokens, 4
// channels).
template <class F>
void for_each_packed(const TransformerShape& shape, int64_t channels, std::span<float> packed, F&& f) {
    const int64_t height = 2 * shape.grid_h, width = 2 * shape.grid_w;
    for (int64_t token = 0; token < shape.image_tokens(); ++token) {
        const int64_t top = token / shape.grid_w * 2, left = token % shape.grid_w * 2;
        float* row = packed.data() + token * channels;
        for (int64_t k = 0; k < channels; ++k) f((k / 4 * height + top + k % 4 / 2) * width + left + k % 2, row[k]);
    }
}

std::span<const float> given_or_drawn(
    const std::optional<std::span<const float>>& given, PhiloxStream stream, int64_t count, std::vector<float>& room) {
    if (given) return *given;
    const std::span<float> drawn(room.data(), static_cast<size_t>(count));
    stream.normal(0, drawn);
    return drawn;
}

} // namespace

Trainer::Impl::Impl(const Transformer& transformer, const TrainOptions& o, const std::vector<Shape>& shapes)
    : base(*transformer.impl), options(o), schedule(schedule_of(o)),
      bank(base.memory(), base.weights.layers(), (check_train_options(o), schedule.validate(), o)) {
    const TransformerDims& dims = base.dims();
    const std::vector<TransformerShape> kinds = training_shapes(dims, shapes);
    host_bytes = training_input_bytes(dims, kinds);
    if (options.ema_decay > 0) average = {options.ema_decay, bank.weight_bytes() / sizeof(float)};
    if (base.memory().on_host()) host_bytes += average.bytes().size(); // a card's is not in the card's plan
    TransformerLayers layers = base.weights.layers();
    bank.bind(layers);
    choose(layers, kinds);
    for (const TransformerShape& kind : kinds) {
        tables.emplace_back(dims, kind.text_tokens, kind.grid_h, kind.grid_w);
        for (const int64_t size : group_sizes(together)) {
            const MicroProgramOptions of{.together = size,
                .accumulation = options.accumulation,
                .keep = choice.keep,
                .activations = base.ops().activations(),
                .parked = choice.parked,
                .huber = options.loss_type != LossType::mse};
            programs.push_back(std::make_unique<MicroProgram>(layers, kind, tables.back(), of));
            arena_bytes = std::max(arena_bytes, programs.back()->program.plan().arena_bytes);
            parked_bytes = std::max(parked_bytes, programs.back()->parking.host_bytes());
        }
        latent_count = std::max(latent_count, kind.image_tokens() * dims.in_channels);
    }
    sigmas = training_sigmas(o.num_train_timesteps, o.dynamic_shifting, o.shift);
}

uint64_t Trainer::Impl::fixed_bytes() const {
    return bank.bytes() + host_bytes + base.ops().workspace_bytes() + profile().context_bytes;
}

// Within the budget; without one a card is used as far as it is free, and on the host `recompute` decides.
void Trainer::Impl::choose(const TransformerLayers& layers, const std::vector<TransformerShape>& kinds) {
    const bool card = !base.memory().on_host();
    uint64_t budget = options.memory_budget;
    if (!budget && card)
        budget =
            base.free_bytes() + fixed_bytes() - host_bytes; // of the fixed part only the tables are not reserved yet
    if (!budget) {
        choice = choice_without_budget(layers.doubles.size() + layers.singles.size(), options.recompute);
        return;
    }
    const StepPlan planned =
        plan_step({layers, kinds, options.accumulation, budget, fixed_bytes(), profile(), spare_host_bytes()});
    choice = planned.memory.choice;
    together = planned.together;
    if (card) time = summary(planned.memory.time);
}

void Trainer::Impl::check(const Sample& sample) const {
    const TransformerDims& dims = base.dims();
    const Shape& shape = sample.shape;
    require(std::any_of(programs.begin(), programs.end(), [&](const auto& p) { return same_shape(p->shape, shape); }),
        ErrorCode::invalid_argument, "a sample of ", shape.grid_h, " by ", shape.grid_w, " tokens with ",
        shape.text_tokens, " text tokens was not in the plan; plan with every shape that the data set has");
    const int64_t count = shape.grid_h * shape.grid_w * dims.in_channels;
    check_input(sample.mean, count, "mean");
    check_input(sample.logvar, count, "logvar");
    check_input(sample.prompt_embeds, shape.text_tokens * dims.joint_dim, "prompt_embeds");
    check_input(sample.pooled, dims.pooled_dim, "pooled");
    if (sample.eps) check_input(*sample.eps, count, "eps");
    if (sample.noise) check_input(*sample.noise, count, "noise");
    require(
        !sample.timestep_index || (*sample.timestep_index >= 0 && *sample.timestep_index < options.num_train_timesteps),
        ErrorCode::invalid_argument, "timestep index ", sample.timestep_index.value_or(0), ": expected 0 to ",
        options.num_train_timesteps - 1);
}

// The largest that the first of the samples fill with one shape.
const MicroProgram& Trainer::Impl::program_for(std::span<const Sample> samples) const {
    const Shape& shape = samples.front().shape;
    const auto others =
        std::find_if(samples.begin(), samples.end(), [&](const Sample& s) { return !same_shape(s.shape, shape); });
    return **std::find_if(programs.begin(), programs.end(),
        [&](const auto& p) { return same_shape(p->shape, shape) && p->together() <= others - samples.begin(); });
}

MemoryPlan Trainer::Impl::plan() const {
    MemoryPlan plan;
    plan.arena_bytes = arena_bytes;
    plan.weight_bytes = PlacedUnits::device_bytes(base.packs, unit_residence(base.dims(), choice));
    plan.state_bytes = bank.bytes() + host_bytes;
    plan.workspace_bytes = base.ops().workspace_bytes();
    plan.context_bytes = profile().context_bytes;
    plan.parked_bytes = parked_bytes;
    plan.choice = summary(choice, together);
    plan.time = time;
    return plan;
}

void Trainer::Impl::reserve() {
    weights = model->impl->place(unit_residence(base.dims(), choice));
    arena = std::make_unique<Arena>(base.memory(), arena_bytes);
    if (parked_bytes) parked = std::make_unique<HostArena>(base.memory(), parked_bytes);
    for (std::vector<float>* room : {&eps, &noise, &packed}) room->resize(static_cast<size_t>(latent_count));
    constants = std::make_unique<Constants>(base.memory(), std::vector{&weights->constants()});
    for (const TransformerTables& t : tables) t.add_to(*constants);
    constants->place();
    for (const auto& p : programs) p->connect(*weights, *constants, parked ? parked->data() : nullptr);
}

void Trainer::Impl::require_whole() const {
    require(!broken, ErrorCode::invalid_argument,
        "an earlier micro-step was cancelled or failed half-way; load a training state before going on");
}

void Trainer::Impl::write_inputs(const TransformerShape& shape, const MicroProgram::Sample& to,
    const Program::Resolver& at, const Sample& sample, const Draw& draw, float sigma) {
    const int64_t count = shape.image_tokens() * base.dims().in_channels;
    const auto posterior = given_or_drawn(sample.eps, draw.stream(RandomUse::posterior), count, eps);
    const auto flow = given_or_drawn(sample.noise, draw.stream(RandomUse::flow_noise), count, noise);
    Memory& memory = base.memory();
    for_each_packed(shape, base.dims().in_channels, packed, [&](int64_t i, float& value) {
        const size_t k = static_cast<size_t>(i);
        value = (sample.mean[k] + std::exp(0.5f * sample.logvar[k]) * posterior[k] - options.vae_shift) *
                options.vae_scaling;
    });
    write_view(memory, at(to.latents), packed.data());
    for_each_packed(
        shape, base.dims().in_channels, packed, [&](int64_t i, float& value) { value = flow[static_cast<size_t>(i)]; });
    write_view(memory, at(to.noise), packed.data());
    write_view(memory, at(to.prompt), sample.prompt_embeds.data());
    to.conditioning.fill(memory, at, 0, sigma, options.guidance, sample.pooled);
    // Of mean squared error only the first is taken.
    const float weighing[] = {
        static_cast<float>(loss_scale(options, sigma)), static_cast<float>(huber_c_at(options, sigma))};
    write_view(memory, at(to.sigma), &sigma);
    write_view(memory, at(to.weight), weighing);
}

NoiseLevel Trainer::Impl::noise_of(const Sample& sample, const TransformerShape& shape, const Draw& draw) const {
    if (sample.timestep_index) return {*sample.timestep_index, sigmas[static_cast<size_t>(*sample.timestep_index)]};
    return draw_noise_level(options, sigmas, shape.image_tokens(), draw.stream(RandomUse::timestep));
}

std::vector<Trainer::MicroResult> Trainer::Impl::micro_steps(
    std::span<const Sample> samples, const EngineProgress& progress) {
    require_whole();
    const auto count = static_cast<int64_t>(samples.size());
    require(count > 0, ErrorCode::invalid_argument, "no samples given; micro_steps takes at least one");
    require(accumulated + count <= options.accumulation, ErrorCode::invalid_argument, accumulated,
        " micro-steps are accumulated and ", count, " more were given, of ", options.accumulation,
        " an optimizer step: optimizer_step comes between");
    for (const Sample& sample : samples) check(sample);
    std::vector<MicroResult> results;
    while (!samples.empty()) {
        const MicroProgram& p = program_for(samples);
        const auto group = samples.first(static_cast<size_t>(p.together()));
        run(p, group, progress, results);
        samples = samples.subspan(group.size());
    }
    return results;
}

void Trainer::Impl::run(const MicroProgram& p, std::span<const Sample> group, const EngineProgress& progress,
    std::vector<MicroResult>& results) {
    const Program::Resolver at = p.program.resolver(arena->data());
    const std::lock_guard lock(base.device->impl->busy);
    last_program = nullptr;
    const size_t first = results.size();
    for (size_t i = 0; i < group.size(); ++i) {
        const Draw draw{options.seed, static_cast<uint64_t>(micro) + i, group[i].sample_id};
        MicroResult& result = results.emplace_back();
        const NoiseLevel level = noise_of(group[i], p.shape, draw);
        result.timestep_index = level.index;
        result.sigma = level.sigma;
        write_inputs(p.shape, p.samples[i], at, group[i], draw, result.sigma);
    }
    broken = true;
    high_water = std::max(high_water, p.program.run(base.ops(), arena->data(), internal_progress(progress)));
    for (size_t i = 0; i < group.size(); ++i, ++micro, ++accumulated) {
        const double loss = values_of(base.memory(), at(p.samples[i].loss)).front();
        require(std::isfinite(loss), ErrorCode::internal, "the loss is not finite at micro-step ", micro,
            "; lower the learning rate, or look for weights or latents that are out of range");
        results[first + i].loss = loss;
    }
    broken = false;
    last_program = &p;
    last = p.samples[group.size() - 1].prediction;
}

Trainer::StepResult Trainer::Impl::optimizer_step() {
    require_whole();
    require(accumulated > 0, ErrorCode::invalid_argument,
        "no micro-step since the last optimizer_step: there is no gradient to step along");
    const std::lock_guard lock(base.device->impl->busy);
    Ops& ops = base.ops();
    StepResult result;
    result.grad_norm = bank.grad_norm(ops);
    require(std::isfinite(result.grad_norm), ErrorCode::internal, "the gradient is not finite at step ", step,
        "; lower the learning rate");
    result.lr = options.learning_rate * schedule.factor(step);
    AdamArgs args;
    args.lr = result.lr;
    args.beta1 = options.adam_beta1;
    args.beta2 = options.adam_beta2;
    args.eps = options.adam_epsilon;
    args.weight_decay = options.weight_decay;
    args.step = step + 1;
    args.grad_scale =
        static_cast<float>(std::min(1.0, options.max_grad_norm / (result.grad_norm + 1e-6))); // torch's clip_grad_norm_
    bank.update(ops, args);
    bank.clear_gradients(ops);
    accumulated = 0;
    result.step = ++step;
    if (average.kept()) average.take(bank.weights(), step);
    return result;
}

MemoryPlan Trainer::plan(const Transformer& model, const TrainOptions& options, const std::vector<Shape>& shapes) {
    return Impl(model, options, shapes).plan();
}

Trainer::Trainer(std::shared_ptr<Transformer> model, const TrainOptions& options, const std::vector<Shape>& shapes)
    : impl(std::make_unique<Impl>(*model, options, shapes)) {
    impl->model = std::move(model);
    impl->reserve();
}

Trainer::~Trainer() = default;

MemoryPlan Trainer::memory_plan() const { return impl->plan(); }
uint64_t Trainer::arena_high_water() const { return impl->high_water; }
std::vector<Trainer::MicroResult> Trainer::micro_steps(
    std::span<const Sample> samples, const EngineProgress& progress) {
    return impl->micro_steps(samples, progress);
}
Trainer::StepResult Trainer::optimizer_step() { return impl->optimizer_step(); }
Adapter Trainer::adapter() const { return {impl->bank.adapter()}; }
Adapter Trainer::average() const {
    require(impl->average.kept() && impl->step > 0, ErrorCode::invalid_argument,
        "no average of the adapter is kept; take a step with an ema_decay above 0");
    return {impl->bank.adapter_of(impl->average.values())};
}
int64_t Trainer::step() const { return impl->step; }

std::vector<std::byte> Trainer::save_state() const {
    impl->require_whole();
    require(impl->accumulated == 0, ErrorCode::invalid_argument, "a training state is saved between optimizer steps; ",
        impl->accumulated, " micro-steps are accumulated");
    LoraBank::State state = impl->bank.state();
    return write_training_state({impl->step, impl->micro, training_identity(impl->options, impl->bank.paths()),
        state.weights, state.optimizer_states, impl->average.bytes()});
}

void Trainer::load_state(std::span<const std::byte> bytes) {
    LoraBank::State state = impl->bank.state();
    const TrainingCounters counters =
        read_training_state(bytes, {0, 0, training_identity(impl->options, impl->bank.paths()), state.weights,
                                       state.optimizer_states, impl->average.bytes()});
    impl->step = counters.step;
    impl->micro = counters.micro;
    impl->accumulated = 0;
    impl->broken = false;
    impl->last_program = nullptr;
    const std::lock_guard lock(impl->base.device->impl->busy);
    await_parking(impl->base.memory()); // a run that ended half-way may have left some of it under way
    impl->bank.set_state(state);
    impl->bank.clear_gradients(impl->base.ops());
}

} // namespace atelier
