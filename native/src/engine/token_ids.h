// Token ids on their way into a program.
#pragma once
#include "base/error.h"
#include "tensor/view.h"
#include <algorithm>
#include <span>

namespace atelier {

inline void check_ids(std::span<const int32_t> ids, int64_t vocabulary, int64_t most) {
    require(!ids.empty() && static_cast<int64_t>(ids.size()) <= most, ErrorCode::invalid_argument, ids.size(), " token ids, expected 1 to ", most);
    for (size_t i = 0; i < ids.size(); ++i)
        require(ids[i] >= 0 && ids[i] < vocabulary, ErrorCode::invalid_argument, "token ", i, " has the id ", ids[i], ", outside the vocabulary of ", vocabulary,
                ": tokenizer and text encoder do not belong together");
}

inline void write_ids(std::span<const int32_t> ids, const View& view) { std::copy(ids.begin(), ids.end(), static_cast<int32_t*>(view.data)); }

} // namespace atelier
