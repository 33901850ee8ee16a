// How the engine throws: fail and require build the text of an atelier::Error from parts.
#pragma once
#include "atelier/error.h"
#include <sstream>

namespace atelier {

// fail(ErrorCode::corrupt, path, ": tensor ", name, " ends at ", end, " of ", size)
template <class... Parts>
[[noreturn]] void fail(ErrorCode code, const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    throw Error(code, text.str());
}

template <class... Parts>
void require(bool ok, ErrorCode code, const Parts&... parts) {
    if (!ok) fail(code, parts...);
}

} // namespace atelier
