// Every function of the addon. libs/engine/src/addon.ts describes the same surface in TypeScript; tools/check-surface
// compares them.
#pragma once
#include <napi.h>
#include <span>

namespace atelier::addon {

struct Export {
    const char* name; // in JavaScript
    Napi::Value (*function)(const Napi::CallbackInfo&);
};
std::span<const Export> surface(); // all that is below, and dispose() and the cancel flags
void add_exports(Napi::Env, Napi::Object exports, std::span<const Export>);

Napi::Value open_device(const Napi::CallbackInfo&);
Napi::Value device_outlook(const Napi::CallbackInfo&);
Napi::Value card_identity(const Napi::CallbackInfo&);
Napi::Value check_kernels(const Napi::CallbackInfo&);
Napi::Value avoid_kernels(const Napi::CallbackInfo&);
Napi::Value device_description(const Napi::CallbackInfo&);
Napi::Value cuda_devices(const Napi::CallbackInfo&);

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

Napi::Value plan_training(const Napi::CallbackInfo&);
Napi::Value create_trainer(const Napi::CallbackInfo&);
Napi::Value trainer_micro_steps(const Napi::CallbackInfo&);
Napi::Value trainer_score(const Napi::CallbackInfo&);
Napi::Value trainer_optimizer_step(const Napi::CallbackInfo&);
Napi::Value trainer_average(const Napi::CallbackInfo&);
Napi::Value trainer_adapter(const Napi::CallbackInfo&);
Napi::Value trainer_save_state(const Napi::CallbackInfo&);
Napi::Value trainer_load_state(const Napi::CallbackInfo&);

Napi::Value plan_on_card(const Napi::CallbackInfo&);
Napi::Value card_names(const Napi::CallbackInfo&);
Napi::Value transformer_dims(const Napi::CallbackInfo&);

Napi::Value create_sampler(const Napi::CallbackInfo&);
Napi::Value sampler_plan(const Napi::CallbackInfo&);
Napi::Value sampler_generate(const Napi::CallbackInfo&);

Napi::Value load_adapter(const Napi::CallbackInfo&);
Napi::Value adapter_from_bytes(const Napi::CallbackInfo&);
Napi::Value inspect_adapter_file(const Napi::CallbackInfo&);
Napi::Value save_adapter(const Napi::CallbackInfo&);
Napi::Value adapter_to_bytes(const Napi::CallbackInfo&);
Napi::Value validate_adapter(const Napi::CallbackInfo&);

Napi::Value inspect_checkpoint(const Napi::CallbackInfo&);

} // namespace atelier::addon
