// Plans for cards that need not be here.
#include "exports.h"
#include "task.h"
#include "training_values.h"
#include "transformer_values.h"

namespace atelier::addon {

// planOnCard(dims, quant, options, shapes, card, call?): Promise<MemoryPlan>
Napi::Value plan_on_card_of(const Napi::CallbackInfo& info) {
    CardRun run{dims_of(info[0]), quant(info[1]), train_options(info[2]), shapes(info[3]), text(info[4], "card")};
    return start(
        info.Env(), info[5], [run = std::move(run)](const EngineProgress&) { return plan_on_card(run); },
        [](Napi::Env env, MemoryPlan& plan) { return to_js(env, plan); });
}

// cardNames(): string[]
Napi::Value card_names_of(const Napi::CallbackInfo& info) {
    const std::vector<std::string> names = card_names();
    Napi::Array list = Napi::Array::New(info.Env(), names.size());
    for (uint32_t i = 0; i < names.size(); i++) list.Set(i, names[i]);
    return list;
}

// transformerDims(dir): FluxDims, of the folder's config.json alone
Napi::Value transformer_dims_of(const Napi::CallbackInfo& info) {
    const std::string dir = text(info[0], "dir");
    return to_js(info.Env(), guarded(info.Env(), [&] { return transformer_dims(dir); }));
}

} // namespace atelier::addon
