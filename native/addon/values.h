// JavaScript values to plain C++ ones and back, on the JS thread. Every reader names the argument in its error.
#pragma once
#include "atelier/engine.h"
#include "errors.h"
#include <cstdint>
#include <napi.h>
#include <string>
#include <vector>

namespace atelier::addon {

double number(Napi::Value, const std::string& name);                  // finite
int64_t count(Napi::Value, const std::string& name, int64_t least = 0); // a whole number that a double holds exactly
bool flag(Napi::Value, const std::string& name);
std::string text(Napi::Value, const std::string& name);
uint64_t u64(Napi::Value, const std::string& name); // BigInt
std::vector<float> floats(Napi::Value, const std::string& name);
std::vector<int32_t> ints(Napi::Value, const std::string& name);
std::vector<uint8_t> bytes(Napi::Value, const std::string& name);
std::vector<std::string> texts(Napi::Value, const std::string& name);
std::map<std::string, std::string> text_map(Napi::Value, const std::string& name); // of an object
// A value of an enum, by its name.
template <class E>
E named(Napi::Value value, const std::string& name) {
    const std::string given = text(value, name);
    const std::optional<E> found = value_named<E>(given);
    if (!found)
        throw_js(
            value.Env(), "INVALID_ARGUMENT", name + " is \"" + given + "\": expected one of " + list_of_names<E>());
    return *found;
}
Tensor tensor(Napi::Value, const std::string& name); // {shape, data}, of matching sizes

// An object argument whose fields are read by name: Fields(info[1], "options").count("rank").
class Fields {
public:
    Fields(Napi::Value, std::string name);
    Napi::Value operator[](const char* field) const { return object_.Get(field); }
    bool has(const char* field) const;
    std::vector<std::string> names() const; // of those that say something
    std::string path(const char* field) const { return name_ + "." + field; }
    double number(const char* field) const { return addon::number((*this)[field], path(field)); }
    float real(const char* field) const { return static_cast<float>(number(field)); }
    int64_t count(const char* field, int64_t least = 0) const {
        return addon::count((*this)[field], path(field), least);
    }
    bool flag(const char* field) const { return addon::flag((*this)[field], path(field)); }
    std::string text(const char* field) const { return addon::text((*this)[field], path(field)); }
    uint64_t u64(const char* field) const { return addon::u64((*this)[field], path(field)); }
    std::vector<float> floats(const char* field) const { return addon::floats((*this)[field], path(field)); }

private:
    Napi::Object object_;
    std::string name_;
};

Napi::Float32Array to_js(Napi::Env, const std::vector<float>&);
Napi::Uint8Array to_js(Napi::Env, const std::vector<uint8_t>&);
Napi::Uint8Array to_js(Napi::Env, const std::vector<std::byte>&);
Napi::Float64Array to_js(Napi::Env, const std::vector<double>&);
Napi::Object to_js(Napi::Env, const Tensor&);
Napi::Object to_js(Napi::Env, const TensorMap&);
Napi::Object to_js(Napi::Env, const MemoryPlan&);

} // namespace atelier::addon
