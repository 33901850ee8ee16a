// Whole passes of a transformer, and what a trainer holds inside.
#include "task.h"
#include "testing_exports.h"
#include "transformer_values.h"

namespace atelier::addon {

// randomTransformer(device, dims, quant, seed, call?): Promise<LoadedTransformer>
Napi::Value random_transformer(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[4],
        [device = device.object, dims = dims_of(info[1]), quant = quant(info[2]), seed = u64(info[3], "seed")](
            const EngineProgress& progress) {
            return testing::random_transformer(device, dims, quant, seed, progress);
        },
        [line = device.line](Napi::Env env, std::shared_ptr<Transformer>& transformer) {
            return loaded_transformer(env, std::move(transformer), line);
        });
}

// transformerForward(transformer, {latents, gridH, gridW, sigma, guidance, promptEmbeds, pooled, captureBlocks},
// call?): Promise<{name: Tensor}>
Napi::Value transformer_forward(const Napi::CallbackInfo& info) {
    struct Input {
        std::vector<float> latents, prompt_embeds, pooled;
        testing::ForwardInput rest;
    };
    auto& transformer = handle_of<Transformer>(info[0], "transformer");
    const Fields fields(info[1], "input");
    Input input{fields.floats("latents"), fields.floats("promptEmbeds"), fields.floats("pooled"), {}};
    input.rest.grid_h = fields.count("gridH", 1);
    input.rest.grid_w = fields.count("gridW", 1);
    input.rest.sigma = fields.real("sigma");
    input.rest.guidance = fields.real("guidance");
    input.rest.capture_blocks = fields.flag("captureBlocks");
    return start(
        info[0], transformer, info[2],
        [transformer = transformer.object, input = std::move(input)](const EngineProgress&) {
            testing::ForwardInput whole = input.rest;
            whole.latents = input.latents;
            whole.prompt_embeds = input.prompt_embeds;
            whole.pooled = input.pooled;
            return testing::forward(*transformer, whole);
        },
        [](Napi::Env env, TensorMap& outputs) { return addon::to_js(env, outputs); });
}

// trainerGradients(trainer, call?): Promise<{"<path>.lora_A": Tensor, …}>
Napi::Value trainer_gradients(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[1],
        [trainer = trainer.object](const EngineProgress&) { return testing::gradients(*trainer); },
        [](Napi::Env env, TensorMap& gradients) { return to_js(env, gradients); });
}

// trainerLastPrediction(trainer, call?): Promise<Tensor>
Napi::Value trainer_last_prediction(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[1],
        [trainer = trainer.object](const EngineProgress&) { return testing::last_prediction(*trainer); },
        [](Napi::Env env, Tensor& prediction) { return to_js(env, prediction); });
}

// trainerSetAdapter(trainer, adapter, call?): Promise<void>
Napi::Value trainer_set_adapter(const Napi::CallbackInfo& info) {
    auto& trainer = handle_of<Trainer>(info[0], "trainer");
    return start(
        info[0], trainer, info[2],
        [trainer = trainer.object, adapter = handle_of<const Adapter>(info[1], "adapter").object](
            const EngineProgress&) {
            testing::set_adapter(*trainer, *adapter);
            return Nothing{};
        },
        undefined);
}

} // namespace atelier::addon
