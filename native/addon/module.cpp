// The addon's entry: names in JavaScript to functions. No state of its own, so it can be loaded in several
// environments.
#include "exports.h"
#include "task.h"

namespace atelier::addon {

namespace {

struct Export {
    const char* name;
    Napi::Value (*function)(const Napi::CallbackInfo&);
};

constexpr Export exported[] = {
    {"openDevice", open_device},
    {"deviceOutlook", device_outlook_of},
    {"cardIdentity", card_identity_of},
    {"checkKernels", check_kernels_of},
    {"avoidKernels", avoid_kernels_of},
    {"deviceDescription", device_description},
    {"cudaDevices", cuda_devices_of},
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
    {"randomTransformer", random_transformer},
    {"transformerForward", transformer_forward},
    {"planTraining", plan_training},
    {"createTrainer", create_trainer},
    {"trainerMicroSteps", trainer_micro_steps},
    {"trainerOptimizerStep", trainer_optimizer_step},
    {"trainerGradients", trainer_gradients},
    {"trainerLastPrediction", trainer_last_prediction},
    {"trainerAdapter", trainer_adapter},
    {"trainerSetAdapter", trainer_set_adapter},
    {"trainerSaveState", trainer_save_state},
    {"trainerLoadState", trainer_load_state},
    {"planOnCard", plan_on_card_of},
    {"cardNames", card_names_of},
    {"transformerDims", transformer_dims_of},
    {"createSampler", create_sampler},
    {"samplerPlan", sampler_plan},
    {"samplerGenerate", sampler_generate},
    {"loadAdapter", load_adapter},
    {"createAdapter", create_adapter},
    {"adapterContent", adapter_content},
    {"saveAdapter", save_adapter},
    {"validateAdapter", validate_adapter},
    {"createOptimizer", create_optimizer},
    {"optimizerStep", optimizer_step},
    {"optimizerStates", optimizer_states},
    {"nf4Quantize", quantize_nf4},
    {"nf4Dequantize", dequantize_nf4},
    {"dynamicMap", dynamic_map_of},
    {"nf4Code", nf4_code_of},
    {"lrSchedule", lr_schedule_of},
    {"lossWeight", loss_weight_of},
    {"inferenceSigmas", inference_sigmas_of},
    {"prequantizedLinear", prequantized_linear_of},
    {"inspectCheckpoint", inspect_checkpoint_of},
};

Napi::Object init(Napi::Env env, Napi::Object exports) {
    for (const Export& entry : exported) exports.Set(entry.name, Napi::Function::New(env, entry.function, entry.name));
    return exports;
}

} // namespace

NODE_API_MODULE(atelier, init)

} // namespace atelier::addon
