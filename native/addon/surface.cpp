// Names in JavaScript to functions.
#include "exports.h"
#include "task.h"

namespace atelier::addon {

namespace {

constexpr Export exported[] = {
    {"openDevice", open_device},
    {"deviceOutlook", device_outlook},
    {"cardIdentity", card_identity},
    {"checkKernels", check_kernels},
    {"avoidKernels", avoid_kernels},
    {"deviceDescription", device_description},
    {"cudaDevices", cuda_devices},
    {"dispose", dispose},
    {"createCancelFlag", create_cancel_flag},
    {"raiseCancelFlag", raise_cancel_flag},
    {"loadVae", load_vae},
    {"vaeEncode", vae_encode},
    {"vaeDecode", vae_decode},
    {"vaeDecodePacked", vae_decode_packed},
    {"loadClip", load_clip},
    {"clipEncode", clip_encode},
    {"loadT5", load_t5},
    {"t5Encode", t5_encode},
    {"vaeEncodeBytes", vae_encode_bytes},
    {"vaeDecodeBytes", vae_decode_bytes},
    {"clipEncodeBytes", clip_encode_bytes},
    {"t5EncodeBytes", t5_encode_bytes},
    {"loadTransformer", load_transformer},
    {"planTraining", plan_training},
    {"createTrainer", create_trainer},
    {"trainerMicroSteps", trainer_micro_steps},
    {"trainerOptimizerStep", trainer_optimizer_step},
    {"trainerScore", trainer_score},
    {"trainerAdapter", trainer_adapter},
    {"trainerAverage", trainer_average},
    {"trainerSaveState", trainer_save_state},
    {"trainerLoadState", trainer_load_state},
    {"planOnCard", plan_on_card},
    {"cardNames", card_names},
    {"transformerDims", transformer_dims},
    {"createSampler", create_sampler},
    {"samplerPlan", sampler_plan},
    {"samplerGenerate", sampler_generate},
    {"loadAdapter", load_adapter},
    {"adapterFromBytes", adapter_from_bytes},
    {"inspectAdapter", inspect_adapter_file},
    {"saveAdapter", save_adapter},
    {"adapterToBytes", adapter_to_bytes},
    {"validateAdapter", validate_adapter},
    {"inspectCheckpoint", inspect_checkpoint},
};

} // namespace

std::span<const Export> surface() { return exported; }

void add_exports(Napi::Env env, Napi::Object exports, std::span<const Export> entries) {
    for (const Export& entry : entries) exports.Set(entry.name, Napi::Function::New(env, entry.function, entry.name));
}

} // namespace atelier::addon
