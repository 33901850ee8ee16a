// Adapters are data: a handle's adapter never changes, so it may be read by several tasks at once.
#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// loadAdapter(file, call?): Promise<Adapter>
Napi::Value load_adapter(const Napi::CallbackInfo& info) {
    return start(
        info.Env(), info[1],
        [file = text(info[0], "file")](
            const EngineProgress&) { return std::make_shared<const Adapter>(Adapter::load(file)); },
        [](Napi::Env env, std::shared_ptr<const Adapter>& adapter) { return make_handle(env, std::move(adapter)); });
}

// adapterFromBytes(bytes, label, call?): Promise<Adapter>
Napi::Value adapter_from_bytes(const Napi::CallbackInfo& info) {
    return start(
        info.Env(), info[2],
        [file = bytes(info[0], "bytes"), label = text(info[1], "label")](const EngineProgress&) {
            return std::make_shared<const Adapter>(Adapter::from_bytes(std::as_bytes(std::span(file)), label));
        },
        [](Napi::Env env, std::shared_ptr<const Adapter>& adapter) { return make_handle(env, std::move(adapter)); });
}

// saveAdapter(adapter, file, format, call?): Promise<void>
Napi::Value save_adapter(const Napi::CallbackInfo& info) {
    auto& adapter = handle_of<const Adapter>(info[0], "adapter");
    return start(
        info[0], adapter, info[3],
        [adapter = adapter.object, file = text(info[1], "file"), format = named<AdapterFormat>(info[2], "format")](
            const EngineProgress&) {
            adapter->save(file, format);
            return Nothing{};
        },
        undefined);
}

// adapterToBytes(adapter, format, metadata, call?): Promise<Uint8Array>
Napi::Value adapter_to_bytes(const Napi::CallbackInfo& info) {
    auto& adapter = handle_of<const Adapter>(info[0], "adapter");
    return start(
        info[0], adapter, info[3],
        [adapter = adapter.object, format = named<AdapterFormat>(info[1], "format"),
            metadata = text_map(info[2], "metadata")](
            const EngineProgress&) { return adapter->to_bytes(format, metadata); },
        [](Napi::Env env, std::vector<std::byte>& file) { return to_js(env, file); });
}

// validateAdapter(adapter, transformer, call?): Promise<void>
Napi::Value validate_adapter(const Napi::CallbackInfo& info) {
    auto& adapter = handle_of<const Adapter>(info[0], "adapter");
    auto& transformer = handle_of<Transformer>(info[1], "transformer");
    return start(
        info[1], transformer, info[2],
        [adapter = adapter.object, transformer = transformer.object](const EngineProgress&) {
            adapter->validate(*transformer);
            return Nothing{};
        },
        undefined);
}

} // namespace atelier::addon
