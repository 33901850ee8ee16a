// Every function of the addon. libs/engine/src/addon.ts describes the same surface in TypeScript; tools/check-surface
// compares them.
#pragma once
#include <napi.h>

namespace atelier::addon {

Napi::Value open_device(const Napi::CallbackInfo&);
Napi::Value device_outlook_of(const Napi::CallbackInfo&);
Napi::Value card_identity_of(const Napi::CallbackInfo&);
Napi::Value check_kernels_of(const Napi::CallbackInfo&);
Napi::Value avoid_kernels_of(const Napi::CallbackInfo&);
Napi::Value device_description(const Napi::CallbackInfo&);
Napi::Value cuda_devices_of(const Napi::CallbackInfo&);

Napi::Value load_vae(const Napi::CallbackInfo&);
Napi::Value vae_encode(const Napi::CallbackInfo&);
Napi::Value vae_decode(const Napi::CallbackInfo&);
Napi::Value vae_encode_bytes(const Napi::CallbackInfo&);
Napi::Value vae_decode_bytes(const Napi::CallbackInfo&);
Napi::Value vae_decode_packed(const Napi::CallbackInfo&);
Napi::Value load_clip(const Napi::CallbackInfo&);
Napi::Value clip_encode(const Napi::CallbackInfo&);
Napi::Value clip_encode_bytes(const Napi::CallbackInfo&);
Napi::Value load_t5(const Napi::CallbackInfo&);
Napi::Value t5_encode(const Napi::CallbackInfo&);
Napi::Value t5_encode_bytes(const Napi::CallbackInfo&);

Napi::Value load_transformer(const Napi::CallbackInfo&);
Napi::Value random_transformer(const Napi::CallbackInfo&);
Napi::Value transformer_forward(const Napi::CallbackInfo&);

Napi::Value plan_training(const Napi::CallbackInfo&);
Napi::Value create_trainer(const Napi::CallbackInfo&);
Napi::Value trainer_micro_steps(const Napi::CallbackInfo&);
Napi::Value trainer_optimizer_step(const Napi::CallbackInfo&);
Napi::Value trainer_gradients(const Napi::CallbackInfo&);
Napi::Value trainer_last_prediction(const Napi::CallbackInfo&);
Napi::Value trainer_adapter(const Napi::CallbackInfo&);
Napi::Value trainer_set_adapter(const Napi::CallbackInfo&);
Napi::Value trainer_save_state(const Napi::CallbackInfo&);
Napi::Value trainer_load_state(const Napi::CallbackInfo&);

Napi::Value plan_on_card_of(const Napi::CallbackInfo&);
Napi::Value card_names_of(const Napi::CallbackInfo&);
Napi::Value transformer_dims_of(const Napi::CallbackInfo&);

Napi::Value create_sampler(const Napi::CallbackInfo&);
Napi::Value sampler_plan(const Napi::CallbackInfo&);
Napi::Value sampler_generate(const Napi::CallbackInfo&);

Napi::Value load_adapter(const Napi::CallbackInfo&);
Napi::Value create_adapter(const Napi::CallbackInfo&);
Napi::Value adapter_content(const Napi::CallbackInfo&);
Napi::Value save_adapter(const Napi::CallbackInfo&);
Napi::Value validate_adapter(const Napi::CallbackInfo&);

Napi::Value create_optimizer(const Napi::CallbackInfo&);
Napi::Value optimizer_step(const Napi::CallbackInfo&);
Napi::Value optimizer_states(const Napi::CallbackInfo&);

Napi::Value quantize_nf4(const Napi::CallbackInfo&);
Napi::Value dequantize_nf4(const Napi::CallbackInfo&);
Napi::Value dynamic_map_of(const Napi::CallbackInfo&);
Napi::Value nf4_code_of(const Napi::CallbackInfo&);
Napi::Value lr_schedule_of(const Napi::CallbackInfo&);
Napi::Value loss_weight_of(const Napi::CallbackInfo&);
Napi::Value inference_sigmas_of(const Napi::CallbackInfo&);
Napi::Value prequantized_linear_of(const Napi::CallbackInfo&);
Napi::Value inspect_checkpoint_of(const Napi::CallbackInfo&);

} // namespace atelier::addon
