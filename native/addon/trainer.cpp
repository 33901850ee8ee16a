#include "exports.h"
#include "task.h"
#include "training_values.h"

namespace atelier::addon {

Trainer::Shape shape(Napi::Value value, const std::string& name) {
    const Fields fields(value, name);
    return {fields.count("gridH", 1), fields.count("gridW", 1), fields.count("textTokens", 1)};
}

std::vector<Trainer::Shape> shapes(Napi::Value value) {
    if (!value.IsArray() || value.As<Napi::Array>().Length() == 0)
        throw_js(value.Env(), "INVALID_ARGUMENT", "shapes: expected a list of at least one shape");
    const auto list = value.As<Napi::Array>();
    std::vector<Trainer::Shape> result;
    for (uint32_t i = 0; i < list.Length(); i++)
        result.push_back(shape(list.Get(i), "shapes[" + std::to_string(i) + "]"));
    return result;
}

// planTraining(transformer, options, shapes, call?): Promise<MemoryPlan>
Napi::Value plan_training(const Napi::CallbackInfo& info) {
    auto& transformer = handle_of<Transformer>(info[0], "transformer");
    return start(
        info[0], transformer, info[3],
        [transformer = transformer.object, options = train_options(info[1]), shapes = shapes(info[2])](
            const EngineProgress&) { return Trainer::plan(*transformer, options, shapes); },
        [](Napi::Env env, MemoryPlan& plan) { return to_js(env, plan); });
}

// createTrainer(transformer, options, shapes, call?): Promise<{trainer, memoryPlan}>
Napi::Value create_trainer(const Napi::CallbackInfo& info) {
    auto& transformer = handle_of<Transformer>(info[0], "transformer");
    return start(
        info[0], transformer, info[3],
        [transformer = transformer.object, options = train_options(info[1]), shapes = shapes(info[2])](
            const EngineProgress&) { return std::make_shared<Trainer>(transformer, options, shapes); },
        [line = transformer.line](Napi::Env env, std::shared_ptr<Trainer>& trainer) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("memoryPlan", to_js(env, trainer->memory_plan()));
            result.Set("trainer", make_handle(env, std::move(trainer), line));
            return result;
        });
}

namespace {

// A sample's own copy of its values, which outlives the call.
struct OwnedSample {
    std::vector<float> mean, logvar, prompt_embeds, pooled;
    std::optional<std::vector<float>> eps, noise;
    std::optional<int64_t> timestep_index;
    Trainer::Shape shape;
    uint64_t sample_id;

    OwnedSample(Napi::Value value, const std::string& name) {
        const Fields fields(value, name);
        mean = fields.floats("mean");
        logvar = fields.floats("logvar");
        prompt_embeds = fields.floats("promptEmbeds");
        pooled = fields.floats("pooled");
        shape = addon::shape(fields["shape"], name + ".shape");
        sample_id = fields.u64("sampleId");
        if (fields.has("eps")) eps = fields.floats("eps");
        if (fields.has("noise")) noise = fields.floats("noise");
        if (fields.has("timestepIndex")) timestep_index = fields.count("timestepIndex");
    }

    Trainer::Sample view() const {
        Trainer::Sample sample;
        sample.mean = mean;
        sample.logvar = logvar;
        sample.shape = shape;
        sample.prompt_embeds = prompt_embeds;
        sample.pooled = pooled;
        sample.sample_id = sample_id;
        if (eps) sample.eps = *eps;
        if (noise) sample.noise = *noise;
        sample.timestep_index = timestep_index;
        return sample;
    }
};

Napi::Array micro_results(Napi::Env env, const std::vector<Trainer::MicroResult>& from) {
    Napi::Array results = Napi::Array::New(env, from.size());
    for (uint32_t i = 0; i < from.size(); i++) {
        Napi::Object result = Napi::Object::New(env);
        result.Set("loss", Napi::Number::New(env, from[i].loss));
        result.Set("sigma", Napi::Number::New(env, from[i].sigma));
        result.Set("timestepIndex", Napi::Number::New(env, static_cast<double>(from[i].timestep_index)));
        results.Set(i, result);
    }
    return results;
}

} // namespace

// trainerMicroSteps(trainer, samples, call?): Promise<{results: {loss, sigma, timestepIndex}[], arenaHighWater}>
// samples: {mean, logvar, shape, promptEmbeds, pooled, sampleId: bigint, eps?, noise?, timestepIndex?}[]
Napi::Value trainer_micro_steps(const Napi::CallbackInfo& info) {
    struct Outcome {
        std::vector<Trainer::MicroResult> results;
        uint64_t high_water;
    };
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    if (!info[1].IsArray()) throw_js(info.Env(), "INVALID_ARGUMENT", "samples: expected a list");
    const auto list = info[1].As<Napi::Array>();
    std::vector<OwnedSample> copies;
    for (uint32_t i = 0; i < list.Length(); i++) copies.emplace_back(list.Get(i), "samples[" + std::to_string(i) + "]");
    return start(
        info[0], trainer, info[2],
        [trainer = trainer.object, copies = std::move(copies)](const EngineProgress& progress) {
            std::vector<Trainer::Sample> samples;
            for (const OwnedSample& copy : copies) samples.push_back(copy.view());
            std::vector<Trainer::MicroResult> results = trainer->micro_steps(samples, progress);
            return Outcome{std::move(results), trainer->arena_high_water()};
        },
        [](Napi::Env env, Outcome& outcome) {
            const Napi::Array results = micro_results(env, outcome.results);
            Napi::Object all = Napi::Object::New(env);
            all.Set("results", results);
            all.Set("arenaHighWater", Napi::Number::New(env, static_cast<double>(outcome.high_water)));
            return all;
        });
}

// trainerScore(trainer, sample, pairs, call?): Promise<{loss, sigma, timestepIndex}[]>
Napi::Value trainer_score(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    OwnedSample copy(info[1], "sample");
    return start(
        info[0], trainer, info[3],
        [trainer = trainer.object, copy = std::move(copy), pairs = count(info[2], "pairs")](
            const EngineProgress& progress) { return trainer->score(copy.view(), pairs, progress); },
        [](Napi::Env env, std::vector<Trainer::MicroResult>& results) { return micro_results(env, results); });
}

// trainerOptimizerStep(trainer, call?): Promise<{step, gradNorm, lr}>
Napi::Value trainer_optimizer_step(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[1],
        [trainer = trainer.object](const EngineProgress&) { return trainer->optimizer_step(); },
        [](Napi::Env env, Trainer::StepResult& step) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("step", Napi::Number::New(env, static_cast<double>(step.step)));
            result.Set("gradNorm", Napi::Number::New(env, step.grad_norm));
            result.Set("lr", Napi::Number::New(env, step.lr));
            return result;
        });
}

// trainerAdapter(trainer, call?): Promise<Adapter>, a copy of the weights as they are
Napi::Value trainer_adapter(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[1],
        [trainer = trainer.object](
            const EngineProgress&) { return std::make_shared<const Adapter>(trainer->adapter()); },
        [](Napi::Env env, std::shared_ptr<const Adapter>& adapter) { return make_handle(env, std::move(adapter)); });
}

// trainerAverage(trainer, call?): Promise<Adapter>, the moving average of the weights
Napi::Value trainer_average(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[1],
        [trainer = trainer.object](
            const EngineProgress&) { return std::make_shared<const Adapter>(trainer->average()); },
        [](Napi::Env env, std::shared_ptr<const Adapter>& adapter) { return make_handle(env, std::move(adapter)); });
}

// trainerSaveState(trainer, call?): Promise<Uint8Array>
Napi::Value trainer_save_state(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[1], [trainer = trainer.object](const EngineProgress&) { return trainer->save_state(); },
        [](Napi::Env env, std::vector<std::byte>& state) { return to_js(env, state); });
}

// trainerLoadState(trainer, state, call?): Promise<number>, the step it continues from
Napi::Value trainer_load_state(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[2],
        [trainer = trainer.object, state = bytes(info[1], "state")](const EngineProgress&) {
            trainer->load_state(std::as_bytes(std::span(state)));
            return trainer->step();
        },
        [](Napi::Env env, int64_t& step) { return Napi::Number::New(env, static_cast<double>(step)); });
}

} // namespace atelier::addon
