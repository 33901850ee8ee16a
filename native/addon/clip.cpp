#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// loadClip(device, dir, call?): Promise<{clip, weightBytes}>
Napi::Value load_clip(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[2],
        [device = device.object, dir = text(info[1], "dir")](
            const EngineProgress& progress) { return ClipText::load(device, dir, progress); },
        [line = device.line](Napi::Env env, std::shared_ptr<ClipText>& clip) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("weightBytes", Napi::Number::New(env, static_cast<double>(clip->weight_bytes())));
            result.Set("clip", make_handle(env, std::move(clip), line));
            return result;
        });
}

// clipEncodeBytes(clip, tokens): number
Napi::Value clip_encode_bytes(const Napi::CallbackInfo& info) {
    auto& clip = handle_of<ClipText>(info[0], "clip");
    const int64_t tokens = count(info[1], "tokens", 1);
    return Napi::Number::New(
        info.Env(), static_cast<double>(guarded(info.Env(), [&] { return clip.object->encode_bytes(tokens); })));
}

// clipEncode(clip, ids, call?): Promise<{pooled, lastHiddenState}>
Napi::Value clip_encode(const Napi::CallbackInfo& info) {
    auto& clip = handle_of<ClipText>(info[0], "clip");
    return start(
        info[0], clip, info[2],
        [clip = clip.object, ids = ints(info[1], "ids")](const EngineProgress&) { return clip->encode(ids); },
        [](Napi::Env env, ClipText::Output& output) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("pooled", to_js(env, output.pooled));
            result.Set("lastHiddenState", to_js(env, output.last_hidden_state));
            return result;
        });
}

} // namespace atelier::addon
