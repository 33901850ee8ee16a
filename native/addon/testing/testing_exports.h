// What the addon of the tests has beside the shipped surface. test/support/testing-addon.ts describes it in TypeScript;
// tools/check-surface compares them.
#pragma once
#include "atelier/testing.h"
#include "exports.h"
#include "handle.h"

namespace atelier::addon {

template <>
inline constexpr Kind kind_of<testing::Optimizer> = {"Optimizer", {0x9f6e0c8b55a24d09, 0xb6a1d3c47e2f9009}};

Napi::Value random_transformer(const Napi::CallbackInfo&);
Napi::Value transformer_forward(const Napi::CallbackInfo&);
Napi::Value trainer_gradients(const Napi::CallbackInfo&);
Napi::Value trainer_last_prediction(const Napi::CallbackInfo&);
Napi::Value trainer_set_adapter(const Napi::CallbackInfo&);
Napi::Value create_adapter(const Napi::CallbackInfo&);
Napi::Value adapter_content(const Napi::CallbackInfo&);
Napi::Value create_optimizer(const Napi::CallbackInfo&);
Napi::Value optimizer_step(const Napi::CallbackInfo&);
Napi::Value optimizer_states(const Napi::CallbackInfo&);
Napi::Value nf4_quantize(const Napi::CallbackInfo&);
Napi::Value nf4_dequantize(const Napi::CallbackInfo&);
Napi::Value dynamic_map(const Napi::CallbackInfo&);
Napi::Value nf4_code(const Napi::CallbackInfo&);
Napi::Value lr_schedule(const Napi::CallbackInfo&);
Napi::Value loss_weight(const Napi::CallbackInfo&);
Napi::Value inference_sigmas(const Napi::CallbackInfo&);
Napi::Value prequantized_linear(const Napi::CallbackInfo&);

} // namespace atelier::addon
