// The addon's entry. No state of its own, so it can be loaded in several environments.
#include "exports.h"
#include "handle.h"

namespace atelier::addon {

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
    add_exports(env, exports, surface());
    return exports;
}

} // namespace

std::span<const Kind* const> own_kinds() { return {}; }

NODE_API_MODULE(atelier, init)

} // namespace atelier::addon
