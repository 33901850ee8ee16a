// One optimizer over one tensor, for checks of the update alone: synchronous, since the tensors are small.
#include "errors.h"
#include "testing_exports.h"
#include "values.h"

namespace atelier::addon {

using testing::Optimizer;

// createOptimizer(kind, count, {lr, beta1, beta2, eps, weightDecay}): Optimizer
Napi::Value create_optimizer(const Napi::CallbackInfo& info) {
    const OptimizerKind kind = named<OptimizerKind>(info[0], "kind");
    const int64_t size = count(info[1], "count", 1);
    const Fields rates(info[2], "rates");
    return guarded(info.Env(), [&] {
        return make_handle(
            info.Env(), std::make_shared<Optimizer>(kind, size, rates.number("lr"), rates.number("beta1"),
                            rates.number("beta2"), rates.number("eps"), rates.number("weightDecay")));
    });
}

// optimizerStep(optimizer, param, grad): Float32Array, the updated parameter
Napi::Value optimizer_step(const Napi::CallbackInfo& info) {
    auto& optimizer = handle_of<Optimizer>(info[0], "optimizer");
    std::vector<float> param = floats(info[1], "param");
    const std::vector<float> grad = floats(info[2], "grad");
    guarded(info.Env(), [&] { optimizer.object->step(param, grad); });
    return to_js(info.Env(), param);
}

// optimizerStates(optimizer): {values: {name: Tensor}, codes: {name: Uint8Array}}
Napi::Value optimizer_states(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const auto& optimizer = handle_of<Optimizer>(info[0], "optimizer");
    return guarded(env, [&] {
        Napi::Object codes = Napi::Object::New(env);
        for (const auto& [name, bytes] : optimizer.object->codes()) codes.Set(name, to_js(env, bytes));
        Napi::Object result = Napi::Object::New(env);
        result.Set("values", to_js(env, optimizer.object->states()));
        result.Set("codes", codes);
        return result;
    });
}

} // namespace atelier::addon
