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

// createAdapter({path: {rank, in, out, alpha, a, b}}, metadata): Adapter
Napi::Value create_adapter(const Napi::CallbackInfo& info) {
    Adapter adapter;
    const Fields modules(info[0], "modules");
    const Napi::Array paths = info[0].As<Napi::Object>().GetPropertyNames();
    for (uint32_t i = 0; i < paths.Length(); i++) {
        const std::string path = text(paths.Get(i), "modules");
        const Fields fields(modules[path.c_str()], "modules." + path);
        Adapter::Module module{fields.count("rank", 1), fields.count("in", 1), fields.count("out", 1),
            fields.real("alpha"), fields.floats("a"), fields.floats("b")};
        const auto fits = [&](const char* name, const std::vector<float>& values, int64_t rows) {
            if (static_cast<double>(values.size()) == static_cast<double>(rows) * static_cast<double>(module.rank))
                return;
            throw_js(info.Env(), "INVALID_ARGUMENT",
                fields.path(name) + ": holds " + std::to_string(values.size()) + " values, rank " +
                    std::to_string(module.rank) + " × " + std::to_string(rows) + " are needed");
        };
        fits("a", module.a, module.in);
        fits("b", module.b, module.out);
        adapter.modules.emplace(path, std::move(module));
    }
    const Fields metadata(info[1], "metadata");
    const Napi::Array keys = info[1].As<Napi::Object>().GetPropertyNames();
    for (uint32_t i = 0; i < keys.Length(); i++) {
        const std::string key = text(keys.Get(i), "metadata");
        adapter.metadata[key] = metadata.text(key.c_str());
    }
    return make_handle(info.Env(), std::make_shared<const Adapter>(std::move(adapter)));
}

// adapterContent(adapter): {modules, metadata}
Napi::Value adapter_content(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Adapter& adapter = *handle_of<const Adapter>(info[0], "adapter").object;
    Napi::Object modules = Napi::Object::New(env);
    for (const auto& [path, module] : adapter.modules) {
        Napi::Object entry = Napi::Object::New(env);
        entry.Set("rank", Napi::Number::New(env, static_cast<double>(module.rank)));
        entry.Set("in", Napi::Number::New(env, static_cast<double>(module.in)));
        entry.Set("out", Napi::Number::New(env, static_cast<double>(module.out)));
        entry.Set("alpha", Napi::Number::New(env, module.alpha));
        entry.Set("a", to_js(env, module.a));
        entry.Set("b", to_js(env, module.b));
        modules.Set(path, entry);
    }
    Napi::Object metadata = Napi::Object::New(env);
    for (const auto& [key, value] : adapter.metadata) metadata.Set(key, value);
    Napi::Object result = Napi::Object::New(env);
    result.Set("modules", modules);
    result.Set("metadata", metadata);
    return result;
}

// saveAdapter(adapter, file, "diffusers" | "kohya", call?): Promise<void>
Napi::Value save_adapter(const Napi::CallbackInfo& info) {
    auto& adapter = handle_of<const Adapter>(info[0], "adapter");
    const std::string format = text(info[2], "format");
    if (format != "diffusers" && format != "kohya")
        throw_js(info.Env(), "INVALID_ARGUMENT", "format " + format + ": expected diffusers or kohya");
    return start(
        info[0], adapter, info[3],
        [adapter = adapter.object, file = text(info[1], "file"), kohya = format == "kohya"](const EngineProgress&) {
            if (kohya) adapter->save_kohya(file);
            else adapter->save_diffusers(file);
            return Nothing{};
        },
        undefined);
}

// validateAdapter(adapter, transformer, call?): Promise<void>
Napi::Value validate_adapter(const Napi::CallbackInfo& info) {
    auto& adapter = handle_of<const Adapter>(info[0], "adapter");
    auto& transformer = handle_of<FluxTransformer>(info[1], "transformer");
    return start(
        info[1], transformer, info[2],
        [adapter = adapter.object, transformer = transformer.object](const EngineProgress&) {
            adapter->validate(*transformer);
            return Nothing{};
        },
        undefined);
}

} // namespace atelier::addon
