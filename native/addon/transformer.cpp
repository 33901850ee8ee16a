#include "exports.h"
#include "task.h"
#include "training_values.h"
#include "transformer_values.h"

namespace atelier::addon {

BaseQuant quant(Napi::Value value) { return named<BaseQuant>(value, "quant"); }

TransformerDims dims_of(Napi::Value value) {
    const Fields fields(value, "dims");
    TransformerDims dims;
    dims.in_channels = fields.count("inChannels", 1);
    dims.out_channels = fields.count("outChannels", 1);
    dims.num_layers = fields.count("numLayers");
    dims.num_single_layers = fields.count("numSingleLayers");
    dims.heads = fields.count("heads", 1);
    dims.head_dim = fields.count("headDim", 1);
    dims.joint_dim = fields.count("jointDim", 1);
    dims.pooled_dim = fields.count("pooledDim", 1);
    dims.guidance = fields.flag("guidance");
    const Napi::Value axes = fields["axesDims"];
    if (!axes.IsArray() || axes.As<Napi::Array>().Length() != 3)
        throw_js(value.Env(), "INVALID_ARGUMENT", "dims.axesDims: expected three sizes");
    for (uint32_t i = 0; i < 3; i++) dims.axes_dims[i] = count(axes.As<Napi::Array>().Get(i), "dims.axesDims", 1);
    return dims;
}

Napi::Object to_js(Napi::Env env, const TransformerDims& dims) {
    Napi::Object result = Napi::Object::New(env);
    const auto set = [&](const char* name, int64_t n) {
        result.Set(name, Napi::Number::New(env, static_cast<double>(n)));
    };
    set("inChannels", dims.in_channels);
    set("outChannels", dims.out_channels);
    set("numLayers", dims.num_layers);
    set("numSingleLayers", dims.num_single_layers);
    set("heads", dims.heads);
    set("headDim", dims.head_dim);
    set("jointDim", dims.joint_dim);
    set("pooledDim", dims.pooled_dim);
    result.Set("guidance", dims.guidance);
    Napi::Array axes = Napi::Array::New(env, 3);
    for (uint32_t i = 0; i < 3; i++) axes.Set(i, Napi::Number::New(env, static_cast<double>(dims.axes_dims[i])));
    result.Set("axesDims", axes);
    return result;
}

Napi::Object loaded_transformer(Napi::Env env, std::shared_ptr<Transformer> transformer, std::shared_ptr<Line> line) {
    Napi::Array modules = Napi::Array::New(env, transformer->modules().size());
    uint32_t i = 0;
    for (const LinearModule& module : transformer->modules()) {
        Napi::Object entry = Napi::Object::New(env);
        entry.Set("path", module.path);
        entry.Set("in", Napi::Number::New(env, static_cast<double>(module.in)));
        entry.Set("out", Napi::Number::New(env, static_cast<double>(module.out)));
        modules.Set(i++, entry);
    }
    Napi::Object result = Napi::Object::New(env);
    result.Set("dims", to_js(env, transformer->dims()));
    result.Set("modules", modules);
    result.Set("weightBytes", Napi::Number::New(env, static_cast<double>(transformer->weight_bytes())));
    result.Set("transformer", make_handle(env, std::move(transformer), std::move(line)));
    return result;
}

// loadTransformer(device, dir, quant, cacheDir, call?): Promise<LoadedTransformer>
Napi::Value load_transformer(const Napi::CallbackInfo& info) {
    auto& device = handle_of<Device>(info[0], "device");
    return start(
        info[0], device, info[4],
        [device = device.object, dir = text(info[1], "dir"), quant = quant(info[2]), cache = text(info[3], "cacheDir")](
            const EngineProgress& progress) { return Transformer::load(device, dir, quant, cache, progress); },
        [line = device.line](Napi::Env env, std::shared_ptr<Transformer>& transformer) {
            return loaded_transformer(env, std::move(transformer), line);
        });
}

} // namespace atelier::addon
