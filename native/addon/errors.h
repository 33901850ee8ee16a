// The one place where native failures become JavaScript errors: an Error whose `code` is one of gRPC's names.
#pragma once
#include <exception>
#include <napi.h>
#include <string>

namespace atelier::addon {

struct Failure {
    std::string code; // "INVALID_ARGUMENT", …
    std::string message;
};

Failure describe(const std::exception_ptr&); // any thread
Napi::Error to_js(Napi::Env, const Failure&);

[[noreturn]] void throw_js(Napi::Env, const char* code, const std::string& message);

// Runs a synchronous call; what the engine throws arrives in JavaScript as above.
template <class Call>
auto guarded(Napi::Env env, Call&& call) {
    try {
        return call();
    } catch (const Napi::Error&) {
        throw;
    } catch (...) {
        throw to_js(env, describe(std::current_exception()));
    }
}

} // namespace atelier::addon
