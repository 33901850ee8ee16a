// Whether a card computes what the CPU does.
#include "atelier/card_check.h"
#include "exports.h"
#include "task.h"
#include "values.h"

namespace atelier::addon {

// cardIdentity(which): string, empty where no card would be opened
Napi::Value card_identity(const Napi::CallbackInfo& info) {
    const std::string which = text(info[0], "which");
    return Napi::String::New(info.Env(), guarded(info.Env(), [&] { return atelier::card_identity(which); }));
}

// checkKernels(device, real, call?): Promise<{family, error, allowed, instead, errorInstead, agrees, usable}[]>
Napi::Value check_kernels(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    const bool real = info[1].ToBoolean();
    return start(
        info[0], device, info[2],
        [device = device.object, real](
            const EngineProgress& progress) { return atelier::check_kernels(*device, real, progress); },
        [](Napi::Env env, std::vector<KernelFinding>& findings) {
            Napi::Array list = Napi::Array::New(env, findings.size());
            for (uint32_t i = 0; i < findings.size(); i++) {
                const KernelFinding& found = findings[i];
                Napi::Object finding = Napi::Object::New(env);
                finding.Set("family", found.family);
                finding.Set("error", found.error);
                finding.Set("allowed", found.allowed);
                finding.Set("instead", found.instead);
                finding.Set("errorInstead", found.error_instead);
                finding.Set("agrees", found.agrees());
                finding.Set("usable", found.usable());
                list.Set(i, finding);
            }
            return list;
        });
}

// avoidKernels(device, families)
Napi::Value avoid_kernels(const Napi::CallbackInfo& info) {
    const auto& device = handle_of<Device>(info[0], "device");
    const auto list = info[1].As<Napi::Array>();
    std::vector<std::string> families;
    for (uint32_t i = 0; i < list.Length(); i++) families.push_back(text(list.Get(i), "family"));
    guarded(info.Env(), [&] {
        atelier::avoid_kernels(*device.object, families);
        return 0;
    });
    return info.Env().Undefined();
}

} // namespace atelier::addon
