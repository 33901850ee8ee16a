#include "errors.h"
#include "atelier/error.h"
#include <new>

namespace atelier::addon {

Failure describe(const std::exception_ptr& thrown) {
    try {
        std::rethrow_exception(thrown);
    } catch (const Error& error) {
        return {error_code_name(error.code()), error.what()};
    } catch (const std::bad_alloc&) {
        return {"RESOURCE_EXHAUSTED",
            "the machine has no memory left for this call; use a smaller size, a lower rank or nf4 weights"};
    } catch (const std::exception& error) {
        return {"INTERNAL", std::string("the engine failed unexpectedly: ") + error.what()};
    } catch (...) {
        return {"INTERNAL", "the engine failed unexpectedly"};
    }
}

Napi::Error to_js(Napi::Env env, const Failure& failure) {
    Napi::Error error = Napi::Error::New(env, failure.message);
    error.Set("code", Napi::String::New(env, failure.code));
    return error;
}

void throw_js(Napi::Env env, const char* code, const std::string& message) { throw to_js(env, {code, message}); }

} // namespace atelier::addon
