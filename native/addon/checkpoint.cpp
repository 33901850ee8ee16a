// Checks of a checkpoint's files.
#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// inspectCheckpoint(dir, call?): Promise<{component, tensors, bytes, dtype, details}[]>
Napi::Value inspect_checkpoint(const Napi::CallbackInfo& info) {
    return start(
        info.Env(), info[1],
        [dir = text(info[0], "dir")](const EngineProgress&) { return atelier::inspect_checkpoint(dir); },
        [](Napi::Env env, std::vector<ComponentReport>& reports) {
            Napi::Array list = Napi::Array::New(env, reports.size());
            uint32_t i = 0;
            for (const ComponentReport& report : reports) {
                Napi::Object entry = Napi::Object::New(env);
                entry.Set("component", report.component);
                entry.Set("tensors", Napi::Number::New(env, static_cast<double>(report.tensors)));
                entry.Set("bytes", Napi::Number::New(env, static_cast<double>(report.bytes)));
                entry.Set("dtype", report.dtype);
                entry.Set("details", report.details);
                list.Set(i++, entry);
            }
            return list;
        });
}

} // namespace atelier::addon
