// Token ids are checked before they go into a program.
#pragma once
#include "base/error.h"
#include <span>
#include <string>

namespace atelier {

inline void check_token_count(int64_t tokens, int64_t most, const std::string& of = {}) {
    require(tokens > 0 && tokens <= most, ErrorCode::invalid_argument, of, tokens, " token ids, expected 1 to ", most);
}

// of: whose ids, in front of what an error says
inline void check_ids(std::span<const int32_t> ids, int64_t vocabulary, int64_t most, const std::string& of = {}) {
    check_token_count(static_cast<int64_t>(ids.size()), most, of);
    for (size_t i = 0; i < ids.size(); ++i)
        require(ids[i] >= 0 && ids[i] < vocabulary, ErrorCode::invalid_argument, of, "token ", i, " has the id ",
            ids[i], ", outside the vocabulary of ", vocabulary, ": tokenizer and text encoder do not belong together");
}

} // namespace atelier
