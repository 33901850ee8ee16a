#include "base/error.h"
#include "engine/flux_transformer.h"
#include "engine/one_shot.h"
#include "engine/train_plan.h"
#include "engine/training_state.h"
#include "models/flux/weight_units.h"
#include "training/lora_bank.h"
#include "training/micro_program.h"
#include "training/schedules.h"
#include "training/step_costs.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

LrSchedule schedule_of(const TrainOptions& o) { return {o.lr_schedule, o.warmup_steps, o.total_steps, o.lr_cycles, o.lr_power, o.lr}; }

bool same(const FluxShape& a, const Trainer::Shape& b) { return a.grid_h == b.grid_h && a.grid_w == b.grid_w && a.text_tokens == b.text_tokens; }

// f(index into (channels, 2 grid_h, 2 grid_w), view's element) for every element of the packed latents (tokens, 4 channels).
template <class F>
void for_each_packed(const FluxShape& shape, int64_t channels, std::span<float> packed, F&& f) {
    const int64_t height = 2 * shape.grid_h, width = 2 * shape.grid_w;
    for (int64_t token = 0; token < shape.image_tokens(); ++token) {
        const int64_t top = token / shape.grid_w * 2, left = token % shape.grid_w * 2;
        float* row = packed.data() + token * channels;
        for (int64_t k = 0; k < channels; ++k) f((k / 4 * height + top + k % 4 / 2) * width + left + k % 2, row[k]);
    }
}

} // namespace

struct Trainer::Impl {
    std::shared_ptr<FluxTransformer> model; // null while only planning
    const FluxTransformer::Impl& flux;
    TrainOptions options;
    LrSchedule schedule;
    LoraBank bank;
    MemoryChoice choice;
    MemoryPlan::Time time; // of a card's micro-step
    std::vector<std::unique_ptr<MicroProgram>> programs; // one a shape
    std::vector<float> sigmas;
    uint64_t arena_bytes = 0, host_bytes = 0;
    int64_t latent_count = 0; // of the largest shape

    std::shared_ptr<const PlacedUnits> weights;
    std::unique_ptr<Arena> arena;
    std::vector<float> eps, noise, packed; // (16, H/8, W/8) of the largest shape: no allocation in a step
    const MicroProgram* last = nullptr;
    uint64_t high_water = 0;
    int64_t step = 0, micro = 0, accumulated = 0;
    bool broken = false; // a micro-step ended half-way: gradients are neither the old nor the new ones

    Impl(const FluxTransformer& transformer, const TrainOptions& o, const std::vector<Shape>& shapes)
        : flux(*transformer.impl), options(o), schedule(schedule_of(o)), bank(flux.memory(), flux.weights.layers(), (check_train_options(o), schedule.validate(), o)) {
        const FluxDims& dims = flux.dims();
        const std::vector<FluxShape> kinds = training_shapes(dims, shapes);
        host_bytes = training_input_bytes(dims, kinds);
        FluxLayers layers = flux.weights.layers();
        bank.bind(layers);
        choose(layers, kinds);
        for (const FluxShape& kind : kinds) {
            programs.push_back(std::make_unique<MicroProgram>(layers, kind, options.accumulation, choice.keep, flux.ops().activations()));
            arena_bytes = std::max(arena_bytes, programs.back()->program.plan().arena_bytes);
            latent_count = std::max(latent_count, kind.image_tokens() * dims.in_channels);
        }
        sigmas = training_sigmas(o.num_train_timesteps, o.dynamic_shifting, o.shift);
    }

    const DeviceProfile& profile() const { return flux.device->impl->profile; }
    uint64_t fixed_bytes() const { return bank.bytes() + host_bytes + flux.ops().workspace_bytes() + profile().context_bytes; }

    // Within the budget; without one a card is used as far as it is free, and on the host `recompute` decides.
    void choose(const FluxLayers& layers, const std::vector<FluxShape>& kinds) {
        const bool card = !flux.memory().on_host();
        uint64_t budget = options.memory_budget;
        if (!budget && card) budget = flux.free_bytes() + fixed_bytes() - host_bytes; // of the fixed part only the tables are not reserved yet
        if (!budget) {
            choice = choice_without_budget(layers.doubles.size() + layers.singles.size(), options.recompute);
            return;
        }
        const PlannedMemory planned = plan_memory(planner_task({layers, kinds, options.accumulation, budget, fixed_bytes(), profile()}));
        choice = planned.choice;
        if (card) time = summary(planned.time);
    }

    MicroProgram* find(const Shape& shape) const {
        for (const auto& p : programs)
            if (same(p->shape, shape)) return p.get();
        return nullptr;
    }

    MemoryPlan plan() const {
        MemoryPlan plan;
        plan.arena_bytes = arena_bytes;
        plan.weight_bytes = PlacedUnits::device_bytes(flux.packs, unit_residence(flux.dims(), choice));
        plan.state_bytes = bank.bytes() + host_bytes;
        plan.workspace_bytes = flux.ops().workspace_bytes();
        plan.context_bytes = profile().context_bytes;
        plan.choice = summary(choice);
        plan.time = time;
        return plan;
    }

    void reserve() {
        weights = model->impl->place(unit_residence(flux.dims(), choice));
        arena = std::make_unique<Arena>(flux.memory(), arena_bytes);
        for (std::vector<float>* room : {&eps, &noise, &packed}) room->resize(static_cast<size_t>(latent_count));
        for (const auto& p : programs) p->place(flux.memory(), *weights);
    }

    void require_whole() const {
        require(!broken, ErrorCode::invalid_argument, "an earlier micro-step was cancelled or failed half-way; load a training state before going on");
    }

    std::span<const float> given_or_drawn(const std::optional<std::span<const float>>& given, RandomUse use, const Sample& sample, int64_t count, std::vector<float>& room,
                                          const char* what) const {
        if (given) {
            check_input(*given, count, what);
            return *given;
        }
        const std::span<float> drawn(room.data(), static_cast<size_t>(count));
        PhiloxStream(options.seed, use, static_cast<uint64_t>(micro), sample.sample_id).normal(0, drawn);
        return drawn;
    }

    void write_inputs(const MicroProgram& p, const Program::Resolver& at, const Sample& sample, float sigma) {
        const int64_t count = p.shape.image_tokens() * flux.dims().in_channels;
        check_input(sample.mean, count, "mean");
        check_input(sample.logvar, count, "logvar");
        check_input(sample.prompt_embeds, p.shape.text_tokens * flux.dims().joint_dim, "prompt_embeds");
        check_input(sample.pooled, flux.dims().pooled_dim, "pooled");
        const auto posterior = given_or_drawn(sample.eps, RandomUse::posterior, sample, count, eps, "eps");
        const auto flow = given_or_drawn(sample.noise, RandomUse::flow_noise, sample, count, noise, "noise");
        Memory& memory = flux.memory();
        for_each_packed(p.shape, flux.dims().in_channels, packed, [&](int64_t i, float& value) {
            const size_t k = static_cast<size_t>(i);
            value = (sample.mean[k] + std::exp(0.5f * sample.logvar[k]) * posterior[k] - options.vae_shift) * options.vae_scaling;
        });
        write_view(memory, at(p.latents), packed.data());
        for_each_packed(p.shape, flux.dims().in_channels, packed, [&](int64_t i, float& value) { value = flow[static_cast<size_t>(i)]; });
        write_view(memory, at(p.noise), packed.data());
        write_view(memory, at(p.prompt), sample.prompt_embeds.data());
        p.conditioning.fill(memory, at, 0, sigma, options.guidance, sample.pooled);
        const float weight = static_cast<float>(loss_weight(options.weighting, sigma));
        write_view(memory, at(p.sigma), &sigma);
        write_view(memory, at(p.weight), &weight);
    }

    MicroResult micro_step(const Sample& sample, const EngineProgress& progress) {
        require_whole();
        const MicroProgram* p = find(sample.shape);
        require(p != nullptr, ErrorCode::invalid_argument, "a sample of ", sample.shape.grid_h, " by ", sample.shape.grid_w, " tokens with ", sample.shape.text_tokens,
                " text tokens was not in the plan; plan with every shape that the data set has");
        require(accumulated < options.accumulation, ErrorCode::invalid_argument, accumulated, " micro-steps are accumulated: optimizer_step comes next");
        MicroResult result;
        result.timestep_index =
            sample.timestep_index ? *sample.timestep_index
                                  : draw_timestep(options, PhiloxStream(options.seed, RandomUse::timestep, static_cast<uint64_t>(micro), sample.sample_id));
        require(result.timestep_index >= 0 && result.timestep_index < options.num_train_timesteps, ErrorCode::invalid_argument, "timestep index ", result.timestep_index,
                ": expected 0 to ", options.num_train_timesteps - 1);
        result.sigma = sigmas[static_cast<size_t>(result.timestep_index)];

        const Program::Resolver at = p->program.resolver(arena->data());
        const std::lock_guard lock(flux.device->impl->busy);
        last = nullptr;
        write_inputs(*p, at, sample, result.sigma);
        broken = true;
        high_water = std::max(high_water, p->program.run(flux.ops(), arena->data(), internal_progress(progress)));
        result.loss = values_of(flux.memory(), at(p->loss)).front();
        require(std::isfinite(result.loss), ErrorCode::internal, "the loss is not finite at micro-step ", micro,
                "; lower the learning rate, or look for weights or latents that are out of range");
        broken = false;
        last = p;
        ++micro;
        ++accumulated;
        return result;
    }

    StepResult optimizer_step() {
        require_whole();
        require(accumulated > 0, ErrorCode::invalid_argument, "no micro-step since the last optimizer_step: there is no gradient to step along");
        const std::lock_guard lock(flux.device->impl->busy);
        Ops& ops = flux.ops();
        StepResult result;
        result.grad_norm = bank.grad_norm(ops);
        require(std::isfinite(result.grad_norm), ErrorCode::internal, "the gradient is not finite at step ", step, "; lower the learning rate");
        result.lr = options.lr * schedule.factor(step);
        AdamArgs args;
        args.lr = result.lr;
        args.beta1 = options.beta1;
        args.beta2 = options.beta2;
        args.eps = options.eps;
        args.weight_decay = options.weight_decay;
        args.step = step + 1;
        args.grad_scale = static_cast<float>(std::min(1.0, options.max_grad_norm / (result.grad_norm + 1e-6))); // torch's clip_grad_norm_
        bank.update(ops, args);
        bank.clear_gradients(ops);
        accumulated = 0;
        result.step = ++step;
        return result;
    }
};

MemoryPlan Trainer::plan(const FluxTransformer& model, const TrainOptions& options, const std::vector<Shape>& shapes) { return Impl(model, options, shapes).plan(); }

Trainer::Trainer(std::shared_ptr<FluxTransformer> model, const TrainOptions& options, const std::vector<Shape>& shapes)
    : impl(std::make_unique<Impl>(*model, options, shapes)) {
    impl->model = std::move(model);
    impl->reserve();
}

Trainer::~Trainer() = default;

MemoryPlan Trainer::memory_plan() const { return impl->plan(); }
uint64_t Trainer::arena_high_water() const { return impl->high_water; }
Trainer::MicroResult Trainer::micro_step(const Sample& sample, const EngineProgress& progress) { return impl->micro_step(sample, progress); }
Trainer::StepResult Trainer::optimizer_step() { return impl->optimizer_step(); }
TensorMap Trainer::gradients() const { return impl->bank.gradients(); }
Adapter Trainer::adapter() const { return impl->bank.adapter(); }
int64_t Trainer::step() const { return impl->step; }

void Trainer::set_adapter(const Adapter& adapter) {
    require(impl->accumulated == 0 && !impl->broken, ErrorCode::invalid_argument, "set_adapter between micro-steps of one optimizer step: their gradients are for other weights");
    impl->bank.set_adapter(adapter);
}

Tensor Trainer::last_prediction() const {
    require(impl->last != nullptr, ErrorCode::invalid_argument, "last_prediction before a micro-step");
    return read_tensor(impl->flux.memory(), impl->last->program.resolver(impl->arena->data())(impl->last->prediction));
}

std::vector<std::byte> Trainer::save_state() const {
    impl->require_whole();
    require(impl->accumulated == 0, ErrorCode::invalid_argument, "a training state is saved between optimizer steps; ", impl->accumulated, " micro-steps are accumulated");
    LoraBank::State state = impl->bank.state();
    return write_training_state({impl->step, impl->micro, training_identity(impl->options, impl->bank.paths()), state.weights, state.optimizer_states});
}

void Trainer::load_state(std::span<const std::byte> bytes) {
    LoraBank::State state = impl->bank.state();
    const TrainingCounters counters = read_training_state(bytes, {0, 0, training_identity(impl->options, impl->bank.paths()), state.weights, state.optimizer_states});
    impl->step = counters.step;
    impl->micro = counters.micro;
    impl->accumulated = 0;
    impl->broken = false;
    impl->last = nullptr;
    const std::lock_guard lock(impl->flux.device->impl->busy);
    impl->bank.set_state(state);
    impl->bank.clear_gradients(impl->flux.ops());
}

} // namespace atelier
