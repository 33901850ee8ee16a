// Plans for cards that need not be here.
#include "exports.h"
#include "task.h"
#include "training_values.h"
#include "transformer_values.h"

namespace atelier::addon {

// planOnCard(dims, quant, options, shapes, card, call?): Promise<MemoryPlan>
Napi::Value plan_on_card(const Napi::CallbackInfo& info) {
    CardRun run{dims_of(info[0]), quant(info[1]), train_options(info[2]), shapes(info[3]), text(info[4], "card")};
    return start(
        info.Env(), info[5], [run = std::move(run)](const EngineProgress&) { return atelier::plan_on_card(run); },
        [](Napi::Env env, MemoryPlan& plan) { return to_js(env, plan); });
}

// cardNames(): string[]
Napi::Value card_names(const Napi::CallbackInfo& info) {
    const std::vector<std::string> names = atelier::card_names();
    Napi::Array list = Napi::Array::New(info.Env(), names.size());
    for (uint32_t i = 0; i < names.size(); i++) list.Set(i, names[i]);
    return list;
}

// transformerDims(dir): TransformerDims, of the folder's config.json alone
Napi::Value transformer_dims(const Napi::CallbackInfo& info) {
    const std::string dir = text(info[0], "dir");
    return to_js(info.Env(), guarded(info.Env(), [&] { return atelier::transformer_dims(dir); }));
}

} // namespace atelier::addon
