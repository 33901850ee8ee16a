// Single steps of the computation that can be checked alone: small, so synchronous.
#include "sampling_values.h"
#include "task.h"
#include "testing_exports.h"

namespace atelier::addon {

using testing::Nf4Tensor;

// nf4Quantize(values, doubleQuant): {packed, absmax, absmax8, nestedAbsmax, nestedOffset}
Napi::Value nf4_quantize(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const std::vector<float> values = floats(info[0], "values");
    const bool double_quant = flag(info[1], "doubleQuant");
    const Nf4Tensor quantized = guarded(env, [&] { return testing::nf4_quantize(values, double_quant); });
    Napi::Object result = Napi::Object::New(env);
    result.Set("packed", to_js(env, quantized.packed));
    result.Set("absmax", to_js(env, quantized.absmax));
    result.Set("absmax8", to_js(env, quantized.absmax8));
    result.Set("nestedAbsmax", to_js(env, quantized.nested_absmax));
    result.Set("nestedOffset", Napi::Number::New(env, quantized.nested_offset));
    return result;
}

// nf4Dequantize({packed, absmax, absmax8, nestedAbsmax, nestedOffset}, count): Float32Array
Napi::Value nf4_dequantize(const Napi::CallbackInfo& info) {
    const Fields fields(info[0], "quantized");
    const Nf4Tensor quantized{bytes(fields["packed"], "quantized.packed"), fields.floats("absmax"),
        bytes(fields["absmax8"], "quantized.absmax8"), fields.floats("nestedAbsmax"), fields.real("nestedOffset")};
    const int64_t size = count(info[1], "count");
    return to_js(info.Env(), guarded(info.Env(), [&] { return testing::nf4_dequantize(quantized, size); }));
}

// dynamicMap(signed): Float32Array of 256
Napi::Value dynamic_map(const Napi::CallbackInfo& info) {
    const bool is_signed = flag(info[0], "signed");
    return to_js(info.Env(), guarded(info.Env(), [&] { return testing::dynamic_map(is_signed); }));
}

// nf4Code(): Float32Array of 16
Napi::Value nf4_code(const Napi::CallbackInfo& info) {
    return to_js(info.Env(), guarded(info.Env(), [] { return testing::nf4_code(); }));
}

// lrSchedule(kind, warmup, total, cycles, power): Float64Array of factors, one a step
Napi::Value lr_schedule(const Napi::CallbackInfo& info) {
    const LrScheduleKind kind = named<LrScheduleKind>(info[0], "kind");
    const int64_t warmup = count(info[1], "warmup"), total = count(info[2], "total");
    const double cycles = number(info[3], "cycles"), power = number(info[4], "power");
    return to_js(
        info.Env(), guarded(info.Env(), [&] { return testing::lr_schedule(kind, warmup, total, cycles, power); }));
}

// lossWeight(weighting, sigma): number
Napi::Value loss_weight(const Napi::CallbackInfo& info) {
    const Weighting weighting = named<Weighting>(info[0], "weighting");
    const double sigma = number(info[1], "sigma");
    return Napi::Number::New(info.Env(), guarded(info.Env(), [&] { return testing::loss_weight(weighting, sigma); }));
}

// inferenceSigmas(steps, imageTokens, scheduler): {sigmas, mu}
Napi::Value inference_sigmas(const Napi::CallbackInfo& info) {
    const int64_t steps = count(info[0], "steps", 1), tokens = count(info[1], "imageTokens", 1);
    const SchedulerSettings scheduler = scheduler_of(info[2]);
    const testing::SigmaSchedule schedule =
        guarded(info.Env(), [&] { return testing::inference_sigmas(steps, tokens, scheduler); });
    Napi::Object result = Napi::Object::New(info.Env());
    result.Set("sigmas", to_js(info.Env(), schedule.sigmas));
    result.Set("mu", Napi::Number::New(info.Env(), schedule.mu));
    return result;
}

// prequantizedLinear(device, file, prefix, x, call?): Promise<Tensor>
Napi::Value prequantized_linear(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[4],
        [device = device.object, file = text(info[1], "file"), prefix = text(info[2], "prefix"),
            x = tensor(info[3], "x")](
            const EngineProgress&) { return testing::prequantized_linear(*device, file, prefix, x); },
        [](Napi::Env env, Tensor& y) { return to_js(env, y); });
}

} // namespace atelier::addon
