#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// loadT5(device, dir, memoryBudget, call?): Promise<T5Text>
Napi::Value load_t5(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[3],
        [device = device.object, dir = text(info[1], "dir"), budget = static_cast<uint64_t>(count(info[2], "memoryBudget"))](const EngineProgress& progress) {
            return T5Text::load(device, dir, progress, budget);
        },
        [line = device.line](Napi::Env env, std::shared_ptr<T5Text>& t5) { return make_handle(env, std::move(t5), line); });
}

// t5Encode(t5, ids, call?): Promise<Tensor>
Napi::Value t5_encode(const Napi::CallbackInfo& info) {
    auto& t5 = handle_of<T5Text>(info[0], "t5");
    return start(
        info[0], t5, info[2], [t5 = t5.object, ids = ints(info[1], "ids")](const EngineProgress&) { return t5->encode(ids); },
        [](Napi::Env env, Tensor& embeds) { return to_js(env, embeds); });
}

} // namespace atelier::addon
