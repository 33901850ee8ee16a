#include "handle.h"
#include "errors.h"

namespace atelier::addon {

namespace {

constexpr const Kind* shared_kinds[] = {&kind_of<Device>, &kind_of<Vae>, &kind_of<ClipText>, &kind_of<T5Text>,
    &kind_of<Transformer>, &kind_of<Trainer>, &kind_of<SamplerWithAdapters>, &kind_of<const Adapter>,
    &kind_of<CancelFlag>};

const Kind* kind_tagged(Napi::Value value) {
    if (!value.IsObject()) return nullptr;
    for (const std::span<const Kind* const> some : {std::span<const Kind* const>(shared_kinds), own_kinds()})
        for (const Kind* kind : some)
            if (value.As<Napi::Object>().CheckTypeTag(&kind->tag)) return kind;
    return nullptr;
}

Held& tagged(Napi::Value value, const Kind& kind, const std::string& argument) {
    if (!value.IsObject() || !value.As<Napi::Object>().CheckTypeTag(&kind.tag)) {
        throw_js(value.Env(), "INVALID_ARGUMENT", argument + ": expected a " + kind.name);
    }
    void* held = nullptr;
    if (napi_unwrap(value.Env(), value, &held) != napi_ok)
        throw_js(value.Env(), "INTERNAL", argument + ": a tagged object without its pointer");
    return *static_cast<Held*>(held);
}

void finish_dispose(Napi::Env env, Held& held) {
    held.close();
    for (const auto& deferred : held.waiting) deferred.Resolve(env.Undefined());
    held.waiting.clear();
}

} // namespace

Napi::Object wrap(Napi::Env env, const Kind& kind, std::unique_ptr<Held> held) {
    Napi::Object object = Napi::Object::New(env);
    object.TypeTag(&kind.tag);
    const napi_finalize finalize = [](napi_env, void* pointer, void*) { delete static_cast<Held*>(pointer); };
    if (napi_wrap(env, object, held.get(), finalize, nullptr, nullptr) != napi_ok) throw Napi::Error::New(env);
    static_cast<void>(held.release()); // the finalizer deletes it
    return object;
}

Held& unwrap(Napi::Value value, const Kind& kind, const std::string& argument) {
    Held& held = tagged(value, kind, argument);
    if (held.disposed)
        throw_js(value.Env(), "FAILED_PRECONDITION", std::string("this ") + kind.name + " was disposed; load it again");
    return held;
}

Napi::Value dispose(const Napi::CallbackInfo& info) {
    const Napi::Env env = info.Env();
    const Kind* const kind = kind_tagged(info[0]);
    if (!kind) throw_js(env, "INVALID_ARGUMENT", "handle: expected an object of the engine");
    Held& held = tagged(info[0], *kind, "handle");
    held.disposed = true;
    held.waiting.push_back(Napi::Promise::Deferred::New(env));
    const Napi::Value promise = held.waiting.back().Promise();
    if (held.in_flight == 0) finish_dispose(env, held);
    return promise;
}

void released(Napi::Env env, Held& held) {
    held.in_flight--;
    if (held.disposed && held.in_flight == 0) finish_dispose(env, held);
}

} // namespace atelier::addon
