// Adapters are data: a handle's adapter never changes, so it may be read by several tasks at once.
#include "exports.h"
#include "task.h"
#include "transformer_values.h"
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

// inspectAdapter(bytes, label, dims or null, call?): Promise<{modules: [{path, rank, in, out, alpha}], notes,
// metadata}>
Napi::Value inspect_adapter_file(const Napi::CallbackInfo& info) {
    std::optional<TransformerDims> model;
    if (info[2].IsObject()) model = dims_of(info[2]);
    return start(
        info.Env(), info[3],
        [file = bytes(info[0], "bytes"), label = text(info[1], "label"), model](
            const EngineProgress&) { return Adapter::inspect(std::as_bytes(std::span(file)), label, model); },
        [](Napi::Env env, AdapterContents& contents) -> Napi::Value {
            Napi::Array modules = Napi::Array::New(env);
            for (const AdapterContents::Module& m : contents.modules) {
                Napi::Object entry = Napi::Object::New(env);
                entry.Set("path", m.path);
                entry.Set("rank", Napi::Number::New(env, static_cast<double>(m.rank)));
                entry.Set("in", Napi::Number::New(env, static_cast<double>(m.in)));
                entry.Set("out", Napi::Number::New(env, static_cast<double>(m.out)));
                entry.Set("alpha", Napi::Number::New(env, m.alpha));
                modules.Set(modules.Length(), entry);
            }
            Napi::Array notes = Napi::Array::New(env);
            for (const std::string& note : contents.notes) notes.Set(notes.Length(), note);
            Napi::Object metadata = Napi::Object::New(env);
            for (const auto& [key, value] : contents.metadata) metadata.Set(key, value);
            Napi::Object result = Napi::Object::New(env);
            result.Set("modules", modules);
            result.Set("notes", notes);
            result.Set("metadata", metadata);
            return result;
        });
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
