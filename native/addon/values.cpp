#include "values.h"
#include "errors.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace atelier::addon {

namespace {

[[noreturn]] void wrong(Napi::Env env, const std::string& name, const char* expected) {
    throw_js(env, "INVALID_ARGUMENT", name + ": expected " + expected);
}

template <class Array, class Item>
std::vector<Item> copy_typed(
    Napi::Value value, const std::string& name, napi_typedarray_type type, const char* expected) {
    if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type)
        wrong(value.Env(), name, expected);
    const auto array = value.As<Array>();
    return std::vector<Item>(array.Data(), array.Data() + array.ElementLength());
}

template <class Array, class Item>
Array typed(Napi::Env env, const std::vector<Item>& values) {
    Array array = Array::New(env, values.size());
    std::copy(values.begin(), values.end(), array.Data());
    return array;
}

} // namespace

double number(Napi::Value value, const std::string& name) {
    if (!value.IsNumber() || !std::isfinite(value.As<Napi::Number>().DoubleValue()))
        wrong(value.Env(), name, "a finite number");
    return value.As<Napi::Number>().DoubleValue();
}

int64_t count(Napi::Value value, const std::string& name, int64_t least) {
    const double n = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
    if (!(std::floor(n) == n && std::abs(n) <= 9007199254740991.0)) wrong(value.Env(), name, "a whole number");
    if (n < static_cast<double>(least))
        wrong(value.Env(), name, ("a whole number of at least " + std::to_string(least)).c_str());
    return static_cast<int64_t>(n);
}

bool flag(Napi::Value value, const std::string& name) {
    if (!value.IsBoolean()) wrong(value.Env(), name, "true or false");
    return value.As<Napi::Boolean>().Value();
}

std::string text(Napi::Value value, const std::string& name) {
    if (!value.IsString()) wrong(value.Env(), name, "a string");
    std::string result = value.As<Napi::String>().Utf8Value();
    if (result.find('\0') != std::string::npos) wrong(value.Env(), name, "a string without NUL characters");
    return result;
}

uint64_t u64(Napi::Value value, const std::string& name) {
    bool lossless = false;
    uint64_t result = 0;
    if (value.IsBigInt()) result = value.As<Napi::BigInt>().Uint64Value(&lossless);
    if (!lossless) wrong(value.Env(), name, "a BigInt from 0 to 2^64 - 1");
    return result;
}

std::vector<float> floats(Napi::Value value, const std::string& name) {
    return copy_typed<Napi::Float32Array, float>(value, name, napi_float32_array, "a Float32Array");
}

std::vector<int32_t> ints(Napi::Value value, const std::string& name) {
    return copy_typed<Napi::Int32Array, int32_t>(value, name, napi_int32_array, "an Int32Array");
}

std::vector<uint8_t> bytes(Napi::Value value, const std::string& name) {
    return copy_typed<Napi::Uint8Array, uint8_t>(value, name, napi_uint8_array, "a Uint8Array");
}

std::vector<std::string> texts(Napi::Value value, const std::string& name) {
    if (!value.IsArray()) wrong(value.Env(), name, "a list of strings");
    const auto list = value.As<Napi::Array>();
    std::vector<std::string> result;
    for (uint32_t i = 0; i < list.Length(); i++)
        result.push_back(text(list.Get(i), name + "[" + std::to_string(i) + "]"));
    return result;
}

std::map<std::string, std::string> text_map(Napi::Value value, const std::string& name) {
    const Fields fields(value, name);
    const Napi::Array keys = value.As<Napi::Object>().GetPropertyNames();
    std::map<std::string, std::string> result;
    for (uint32_t i = 0; i < keys.Length(); i++) {
        const std::string key = text(keys.Get(i), name);
        result[key] = fields.text(key.c_str());
    }
    return result;
}

Tensor tensor(Napi::Value value, const std::string& name) {
    const Fields fields(value, name);
    if (!fields["shape"].IsArray()) wrong(value.Env(), name + ".shape", "a list of sizes");
    const auto sizes = fields["shape"].As<Napi::Array>();
    Tensor result;
    double product = 1;
    for (uint32_t i = 0; i < sizes.Length(); i++) {
        result.shape.push_back(count(sizes.Get(i), name + ".shape"));
        product *= static_cast<double>(result.shape.back());
    }
    result.data = fields.floats("data");
    if (product != static_cast<double>(result.data.size())) {
        throw_js(value.Env(), "INVALID_ARGUMENT",
            name + ": its shape holds " + std::to_string(static_cast<int64_t>(product)) + " values, its data " +
                std::to_string(result.data.size()));
    }
    return result;
}

Fields::Fields(Napi::Value value, std::string name) : name_(std::move(name)) {
    if (!value.IsObject()) wrong(value.Env(), name_, "an object");
    object_ = value.As<Napi::Object>();
}

bool Fields::has(const char* field) const {
    const Napi::Value value = (*this)[field];
    return !value.IsUndefined() && !value.IsNull();
}

std::vector<std::string> Fields::names() const {
    const Napi::Array all = object_.GetPropertyNames();
    std::vector<std::string> result;
    for (uint32_t i = 0; i < all.Length(); i++) {
        std::string name = all.Get(i).ToString();
        if (has(name.c_str())) result.push_back(std::move(name));
    }
    return result;
}

Napi::Float32Array to_js(Napi::Env env, const std::vector<float>& values) {
    return typed<Napi::Float32Array>(env, values);
}
Napi::Uint8Array to_js(Napi::Env env, const std::vector<uint8_t>& values) {
    return typed<Napi::Uint8Array>(env, values);
}
Napi::Uint8Array to_js(Napi::Env env, const std::vector<std::byte>& values) {
    Napi::Uint8Array array = Napi::Uint8Array::New(env, values.size());
    std::memcpy(array.Data(), values.data(), values.size());
    return array;
}
Napi::Float64Array to_js(Napi::Env env, const std::vector<double>& values) {
    return typed<Napi::Float64Array>(env, values);
}

Napi::Object to_js(Napi::Env env, const Tensor& tensor) {
    Napi::Array shape = Napi::Array::New(env, tensor.shape.size());
    for (size_t i = 0; i < tensor.shape.size(); i++)
        shape.Set(static_cast<uint32_t>(i), Napi::Number::New(env, static_cast<double>(tensor.shape[i])));
    Napi::Object result = Napi::Object::New(env);
    result.Set("shape", shape);
    result.Set("data", to_js(env, tensor.data));
    return result;
}

Napi::Object to_js(Napi::Env env, const TensorMap& tensors) {
    Napi::Object result = Napi::Object::New(env);
    for (const auto& [name, tensor] : tensors) result.Set(name, to_js(env, tensor));
    return result;
}

Napi::Object to_js(Napi::Env env, const MemoryPlan& plan) {
    Napi::Object result = Napi::Object::New(env);
    const auto set = [&](const char* name, uint64_t bytes) {
        result.Set(name, Napi::Number::New(env, static_cast<double>(bytes)));
    };
    set("arenaBytes", plan.arena_bytes);
    set("weightBytes", plan.weight_bytes);
    set("stateBytes", plan.state_bytes);
    set("workspaceBytes", plan.workspace_bytes);
    set("contextBytes", plan.context_bytes);
    set("totalBytes", plan.total_bytes());
    set("parkedBytes", plan.parked_bytes);
    const auto group = [&](const char* name, std::initializer_list<std::pair<const char*, double>> numbers) {
        Napi::Object object = Napi::Object::New(env);
        for (const auto& [field, value] : numbers) object.Set(field, Napi::Number::New(env, value));
        result.Set(name, object);
        return object;
    };
    const MemoryPlan::Choice& c = plan.choice;
    group("choice",
        {{"keepInput", static_cast<double>(c.keep_input)}, {"keepAttention", static_cast<double>(c.keep_attention)},
            {"keepAll", static_cast<double>(c.keep_all)}, {"parked", static_cast<double>(c.parked)},
            {"resident", static_cast<double>(c.resident)}, {"widened", static_cast<double>(c.widened)},
            {"together", static_cast<double>(c.together)}})
        .Set("modulationResident", Napi::Boolean::New(env, c.modulation_resident));
    const MemoryPlan::Time& t = plan.time;
    group("time",
        {{"totalMs", t.total_ms}, {"forwardMs", t.forward_ms}, {"backwardMs", t.backward_ms}, {"againMs", t.again_ms},
            {"forwardFetchMs", t.forward_fetch_ms}, {"backwardFetchMs", t.backward_fetch_ms}, {"parkMs", t.park_ms}});
    return result;
}

} // namespace atelier::addon
