// Native objects in JavaScript's hands: an empty object with a type tag and a pointer to a Handle. A handle of another
// kind, a disposed one or any other value throws. All of this happens on the JS thread.
#pragma once
#include "atelier/engine.h"
#include <memory>
#include <napi.h>
#include <span>
#include <string>
#include <vector>

namespace atelier::addon {

class Line;
class CancelFlag;

// What every handle has. The line is where work on its device queues; empty for objects that need no device.
struct Held {
    virtual ~Held() = default;
    virtual void close() = 0; // frees the native object
    std::shared_ptr<Line> line;
    bool disposed = false;
    int in_flight = 0; // calls that were accepted and have not settled
    std::vector<Napi::Promise::Deferred> waiting; // dispose() calls
};

template <class T>
struct Handle : Held {
    std::shared_ptr<T> object;
    void close() override { object.reset(); }
};

// A sampler keeps the adapters it was made with alive.
struct SamplerWithAdapters {
    std::vector<std::shared_ptr<const Adapter>> adapters;
    std::unique_ptr<Sampler> sampler;
};

struct Kind {
    const char* name;
    napi_type_tag tag;
};
// Kinds of objects that this addon alone has, beside those below; its module.cpp says which.
std::span<const Kind* const> own_kinds();
template <class T>
extern const Kind kind_of;
template <>
inline constexpr Kind kind_of<Device> = {"Device", {0x9f6e0c8b55a24d01, 0xb6a1d3c47e2f9001}};
template <>
inline constexpr Kind kind_of<Vae> = {"Vae", {0x9f6e0c8b55a24d02, 0xb6a1d3c47e2f9002}};
template <>
inline constexpr Kind kind_of<ClipText> = {"ClipText", {0x9f6e0c8b55a24d03, 0xb6a1d3c47e2f9003}};
template <>
inline constexpr Kind kind_of<T5Text> = {"T5Text", {0x9f6e0c8b55a24d04, 0xb6a1d3c47e2f9004}};
template <>
inline constexpr Kind kind_of<Transformer> = {"Transformer", {0x9f6e0c8b55a24d05, 0xb6a1d3c47e2f9005}};
template <>
inline constexpr Kind kind_of<Trainer> = {"Trainer", {0x9f6e0c8b55a24d06, 0xb6a1d3c47e2f9006}};
template <>
inline constexpr Kind kind_of<SamplerWithAdapters> = {"Sampler", {0x9f6e0c8b55a24d07, 0xb6a1d3c47e2f9007}};
template <>
inline constexpr Kind kind_of<const Adapter> = {"Adapter", {0x9f6e0c8b55a24d08, 0xb6a1d3c47e2f9008}};
template <>
inline constexpr Kind kind_of<CancelFlag> = {"CancelFlag", {0x9f6e0c8b55a24d0a, 0xb6a1d3c47e2f900a}};

Napi::Object wrap(Napi::Env, const Kind&, std::unique_ptr<Held>);
Held& unwrap(Napi::Value, const Kind&, const std::string& argument); // throws for anything else, and for a disposed one
Napi::Value dispose(const Napi::CallbackInfo&); // (handle): Promise, when no work is in flight any more

template <class T>
Napi::Object make_handle(Napi::Env env, std::shared_ptr<T> object, std::shared_ptr<Line> line = nullptr) {
    auto handle = std::make_unique<Handle<T>>();
    handle->object = std::move(object);
    handle->line = std::move(line);
    return wrap(env, kind_of<T>, std::move(handle));
}

template <class T>
Handle<T>& handle_of(Napi::Value value, const std::string& argument) {
    return static_cast<Handle<T>&>(unwrap(value, kind_of<T>, argument));
}

// The end of a call that was counted in in_flight.
void released(Napi::Env, Held&);

} // namespace atelier::addon
