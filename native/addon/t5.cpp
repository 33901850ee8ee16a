#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// loadT5(device, dir, memoryBudget, call?): Promise<{t5, weightBytes}>
Napi::Value load_t5(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[3],
        [device = device.object, dir = text(info[1], "dir"),
            budget = static_cast<uint64_t>(count(info[2], "memoryBudget"))](
            const EngineProgress& progress) { return T5Text::load(device, dir, progress, budget); },
        [line = device.line](Napi::Env env, std::shared_ptr<T5Text>& t5) {
            Napi::Object result = Napi::Object::New(env);
            result.Set("weightBytes", Napi::Number::New(env, static_cast<double>(t5->weight_bytes())));
            result.Set("t5", make_handle(env, std::move(t5), line));
            return result;
        });
}

// t5EncodeBytes(t5, tokens): number
Napi::Value t5_encode_bytes(const Napi::CallbackInfo& info) {
    auto& t5 = handle_of<T5Text>(info[0], "t5");
    const int64_t tokens = count(info[1], "tokens", 1);
    return Napi::Number::New(
        info.Env(), static_cast<double>(guarded(info.Env(), [&] { return t5.object->encode_bytes(tokens); })));
}

// t5Encode(t5, captions: Int32Array[], call?): Promise<Tensor[]>; progress once a pass
Napi::Value t5_encode(const Napi::CallbackInfo& info) {
    auto& t5 = handle_of<T5Text>(info[0], "t5");
    if (!info[1].IsArray()) throw_js(info.Env(), "INVALID_ARGUMENT", "captions: expected a list of Int32Array");
    const auto list = info[1].As<Napi::Array>();
    std::vector<std::vector<int32_t>> captions;
    for (uint32_t i = 0; i < list.Length(); i++)
        captions.push_back(ints(list.Get(i), "captions[" + std::to_string(i) + "]"));
    return start(
        info[0], t5, info[2],
        [t5 = t5.object, captions = std::move(captions)](
            const EngineProgress& progress) { return t5->encode(captions, progress); },
        [](Napi::Env env, std::vector<Tensor>& embeds) {
            Napi::Array result = Napi::Array::New(env, embeds.size());
            for (uint32_t i = 0; i < embeds.size(); i++) result.Set(i, to_js(env, embeds[i]));
            return result;
        });
}

} // namespace atelier::addon
