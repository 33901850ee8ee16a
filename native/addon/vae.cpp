#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// loadVae(device, dir, call?): Promise<{vae, scalingFactor, shiftFactor, weightBytes}>
Napi::Value load_vae(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[2],
        [device = device.object, dir = text(info[1], "dir")](
            const EngineProgress& progress) { return Vae::load(device, dir, progress); },
        [line = device.line](Napi::Env env, std::shared_ptr<Vae>& vae) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("scalingFactor", Napi::Number::New(env, vae->scaling_factor()));
            result.Set("shiftFactor", Napi::Number::New(env, vae->shift_factor()));
            result.Set("weightBytes", Napi::Number::New(env, static_cast<double>(vae->weight_bytes())));
            result.Set("vae", make_handle(env, std::move(vae), line));
            return result;
        });
}

// vaeEncode(vae, image, height, width, call?): Promise<{mean, logvar}>; image (3, height, width) in -1..1
Napi::Value vae_encode(const Napi::CallbackInfo& info) {
    auto& vae = handle_of<Vae>(info[0], "vae");
    return start(
        info[0], vae, info[4],
        [vae = vae.object, image = floats(info[1], "image"), height = count(info[2], "height", 1),
            width = count(info[3], "width", 1)](const EngineProgress&) { return vae->encode(image, height, width); },
        [](Napi::Env env, Vae::Posterior& posterior) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("mean", to_js(env, posterior.mean));
            result.Set("logvar", to_js(env, posterior.logvar));
            return result;
        });
}

// vaeDecode(vae, latents, h, w, call?): Promise<Tensor>; latents (16, h, w), unscaled
Napi::Value vae_decode(const Napi::CallbackInfo& info) {
    auto& vae = handle_of<Vae>(info[0], "vae");
    return start(
        info[0], vae, info[4],
        [vae = vae.object, latents = floats(info[1], "latents"), h = count(info[2], "h", 1),
            w = count(info[3], "w", 1)](const EngineProgress&) { return vae->decode(latents, h, w); },
        [](Napi::Env env, Tensor& image) { return to_js(env, image); });
}

// vaeEncodeBytes(vae, height, width): number
Napi::Value vae_encode_bytes(const Napi::CallbackInfo& info) {
    auto& vae = handle_of<Vae>(info[0], "vae");
    const int64_t height = count(info[1], "height", 1), width = count(info[2], "width", 1);
    return Napi::Number::New(
        info.Env(), static_cast<double>(guarded(info.Env(), [&] { return vae.object->encode_bytes(height, width); })));
}

// vaeDecodeBytes(vae, height, width): number
Napi::Value vae_decode_bytes(const Napi::CallbackInfo& info) {
    auto& vae = handle_of<Vae>(info[0], "vae");
    const int64_t height = count(info[1], "height", 1), width = count(info[2], "width", 1);
    return Napi::Number::New(
        info.Env(), static_cast<double>(guarded(info.Env(), [&] { return vae.object->decode_bytes(height, width); })));
}

// vaeDecodePacked(vae, packed, height, width, call?): Promise<Tensor>; packed (S_img, 64) as the sampler gives it
Napi::Value vae_decode_packed(const Napi::CallbackInfo& info) {
    auto& vae = handle_of<Vae>(info[0], "vae");
    return start(
        info[0], vae, info[4],
        [vae = vae.object, packed = tensor(info[1], "packed"), height = count(info[2], "height", 1),
            width = count(info[3], "width", 1)](
            const EngineProgress&) { return vae->decode_packed(packed, height, width); },
        [](Napi::Env env, Tensor& image) { return to_js(env, image); });
}

} // namespace atelier::addon
