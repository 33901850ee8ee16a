#include "exports.h"
#include "sampling_values.h"
#include "task.h"

namespace atelier::addon {

SchedulerSettings scheduler_of(Napi::Value value) {
    const Fields fields(value, "scheduler");
    SchedulerSettings settings;
    settings.dynamic_shifting = fields.flag("dynamicShifting");
    settings.shift = fields.real("shift");
    settings.base_shift = fields.real("baseShift");
    settings.max_shift = fields.real("maxShift");
    settings.base_seq_len = fields.count("baseSeqLen", 1);
    settings.max_seq_len = fields.count("maxSeqLen", 1);
    settings.num_train_timesteps = fields.count("numTrainTimesteps", 1);
    return settings;
}

namespace {

// A request with the arrays that its spans point into.
struct OwnedRequest {
    std::vector<float> prompt_embeds, pooled;
    std::optional<std::vector<float>> latents;
    Sampler::Request rest;

    Sampler::Request whole() const {
        Sampler::Request request = rest;
        request.prompt_embeds = prompt_embeds;
        request.pooled = pooled;
        if (latents) request.latents = *latents;
        return request;
    }
};

// {height, width, steps, guidance, seed: bigint, promptEmbeds, pooled, latents?, scheduler, memoryBudget, decodeBytes}
OwnedRequest request_of(Napi::Value value) {
    const Fields fields(value, "request");
    OwnedRequest request{fields.floats("promptEmbeds"), fields.floats("pooled"), {}, {}};
    if (fields.has("latents")) request.latents = fields.floats("latents");
    request.rest.height = fields.count("height", 1);
    request.rest.width = fields.count("width", 1);
    request.rest.steps = fields.count("steps", 1);
    request.rest.guidance = fields.real("guidance");
    request.rest.seed = fields.u64("seed");
    static_cast<SchedulerSettings&>(request.rest) = scheduler_of(fields["scheduler"]);
    request.rest.memory_budget = static_cast<uint64_t>(fields.count("memoryBudget", 0));
    request.rest.decode_bytes = static_cast<uint64_t>(fields.count("decodeBytes", 0));
    return request;
}

} // namespace

// createSampler(transformer, [{adapter, weight}], fused, call?): Promise<Sampler>
Napi::Value create_sampler(const Napi::CallbackInfo& info) {
    auto& transformer = handle_of<Transformer>(info[0], "transformer");
    if (!info[1].IsArray()) throw_js(info.Env(), "INVALID_ARGUMENT", "adapters: expected a list of {adapter, weight}");
    const auto list = info[1].As<Napi::Array>();
    std::vector<std::shared_ptr<const Adapter>> adapters;
    std::vector<AdapterUse> uses;
    for (uint32_t i = 0; i < list.Length(); i++) {
        const Fields use(list.Get(i), "adapters[" + std::to_string(i) + "]");
        adapters.push_back(handle_of<const Adapter>(use["adapter"], use.path("adapter")).object);
        uses.push_back({adapters.back().get(), use.real("weight")});
    }
    return start(
        info[0], transformer, info[3],
        [transformer = transformer.object, adapters = std::move(adapters), uses = std::move(uses),
            fused = flag(info[2], "fused")](const EngineProgress&) {
            auto sampler = std::make_shared<SamplerWithAdapters>();
            sampler->adapters = adapters;
            sampler->sampler = std::make_unique<Sampler>(transformer, uses, fused);
            return sampler;
        },
        [line = transformer.line](Napi::Env env, std::shared_ptr<SamplerWithAdapters>& sampler) {
            return make_handle(env, std::move(sampler), line);
        });
}

// samplerPlan(sampler, request, call?): Promise<MemoryPlan>
Napi::Value sampler_plan(const Napi::CallbackInfo& info) {
    auto& sampler = handle_of<SamplerWithAdapters>(info[0], "sampler");
    return start(
        info[0], sampler, info[2],
        [sampler = sampler.object, request = request_of(info[1])](
            const EngineProgress&) { return sampler->sampler->plan(request.whole()); },
        [](Napi::Env env, MemoryPlan& plan) { return to_js(env, plan); });
}

// samplerGenerate(sampler, request, call?): Promise<Tensor>, packed latents (S_img, C); progress once a step
Napi::Value sampler_generate(const Napi::CallbackInfo& info) {
    auto& sampler = handle_of<SamplerWithAdapters>(info[0], "sampler");
    return start(
        info[0], sampler, info[2],
        [sampler = sampler.object, request = request_of(info[1])](
            const EngineProgress& progress) { return sampler->sampler->generate(request.whole(), progress); },
        [](Napi::Env env, Tensor& packed) { return to_js(env, packed); });
}

} // namespace atelier::addon
