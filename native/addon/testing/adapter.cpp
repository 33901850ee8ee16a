// An adapter's weights, from JavaScript and to it.
#include "task.h"
#include "testing_exports.h"
#include "values.h"

namespace atelier::addon {

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
    adapter.metadata = text_map(info[1], "metadata");
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

} // namespace atelier::addon
