// One error type for the whole engine: a code a caller can act on, and a text that names the input, the reason and the
// remedy.
#pragma once
#include <stdexcept>
#include <string>

namespace atelier {

enum class ErrorCode {
    invalid_argument,   // the caller asked for something impossible; asking differently helps
    not_found,          // a file, tensor or module that was named does not exist
    corrupt,            // bytes that contradict themselves: lying offsets, NaN weights, truncated files
    unsupported,        // valid, but not something this engine does
    resource_exhausted, // memory or disk; the text says how much is needed and how much there is
    cancelled,          // the caller raised the cancel flag
    internal,           // a bug in the engine
};

const char* error_code_name(ErrorCode code);

class Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message) : std::runtime_error(message), code_(code) {}
    ErrorCode code() const noexcept { return code_; }

private:
    ErrorCode code_;
};

} // namespace atelier
