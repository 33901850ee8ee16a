#include "base/error.h"

namespace atelier {

const char* error_code_name(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument: return "INVALID_ARGUMENT";
        case ErrorCode::not_found: return "NOT_FOUND";
        case ErrorCode::corrupt: return "DATA_LOSS";
        case ErrorCode::unsupported: return "UNIMPLEMENTED";
        case ErrorCode::resource_exhausted: return "RESOURCE_EXHAUSTED";
        case ErrorCode::cancelled: return "CANCELLED";
        case ErrorCode::internal: return "INTERNAL";
    }
    return "UNKNOWN";
}

} // namespace atelier
