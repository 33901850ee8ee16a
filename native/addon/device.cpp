#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// openDevice(threads, isa): Device
Napi::Value open_device(const Napi::CallbackInfo& info) {
    const int64_t threads = count(info[0], "threads");
    const std::string isa = text(info[1], "isa");
    if (threads > 1024) throw_js(info.Env(), "INVALID_ARGUMENT", "threads: expected at most 1024, 0 for all cores");
    auto device = guarded(info.Env(), [&] { return Device::cpu(static_cast<int>(threads), isa); });
    return make_handle(info.Env(), std::move(device), std::make_shared<Line>());
}

// deviceDescription(device): string
Napi::Value device_description(const Napi::CallbackInfo& info) {
    const auto& device = handle_of<Device>(info[0], "device");
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] { return device.object->description(); }));
}

} // namespace atelier::addon
