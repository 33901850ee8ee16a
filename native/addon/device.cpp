#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// openDevice(which, threads, isa): Device
Napi::Value open_device(const Napi::CallbackInfo& info) {
    const std::string which = text(info[0], "which");
    const int64_t threads = count(info[1], "threads");
    const std::string isa = text(info[2], "isa");
    if (threads > 1024) throw_js(info.Env(), "INVALID_ARGUMENT", "threads: expected at most 1024, 0 for all cores");
    auto device = guarded(info.Env(), [&] { return Device::open(which, static_cast<int>(threads), isa); });
    return make_handle(info.Env(), std::move(device), std::make_shared<Line>());
}

// deviceDescription(device): string
Napi::Value device_description(const Napi::CallbackInfo& info) {
    const auto& device = handle_of<Device>(info[0], "device");
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] { return device.object->description(); }));
}

// deviceOutlook(which): {build, card, description, bytes, refusal}
Napi::Value device_outlook(const Napi::CallbackInfo& info) {
    const std::string which = text(info[0], "which");
    const DeviceOutlook seen = guarded(info.Env(), [&] { return atelier::device_outlook(which); });
    Napi::Object outlook = Napi::Object::New(info.Env());
    outlook.Set("build", seen.build);
    outlook.Set("card", seen.card);
    outlook.Set("description", seen.description);
    outlook.Set("bytes", static_cast<double>(seen.bytes));
    outlook.Set("refusal", seen.refusal);
    return outlook;
}

// cudaDevices(): {name, bytes, contextBytes, workspaceBytes}[]
Napi::Value cuda_devices(const Napi::CallbackInfo& info) {
    const std::vector<CudaCard> cards = guarded(info.Env(), [] { return cuda_cards(); });
    Napi::Array list = Napi::Array::New(info.Env(), cards.size());
    for (uint32_t i = 0; i < cards.size(); i++) {
        Napi::Object card = Napi::Object::New(info.Env());
        card.Set("name", cards[i].name);
        card.Set("bytes", static_cast<double>(cards[i].bytes));
        card.Set("contextBytes", static_cast<double>(cards[i].context_bytes));
        card.Set("workspaceBytes", static_cast<double>(cards[i].workspace_bytes));
        list.Set(i, card);
    }
    return list;
}

} // namespace atelier::addon
