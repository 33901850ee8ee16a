// The memory a program runs in: aligned bytes, reserved once. Pages appear as they are touched.
#pragma once
#include "base/error.h"
#include <cstdlib>
#include <memory>

namespace atelier {

class Arena {
public:
    explicit Arena(uint64_t bytes, uint64_t alignment = 64)
        : data_(static_cast<std::byte*>(std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment + (bytes ? 0 : alignment)))) {
        require(data_ != nullptr, ErrorCode::resource_exhausted, bytes, " bytes of working memory cannot be reserved");
    }
    std::byte* data() const { return data_.get(); }

private:
    struct Free {
        void operator()(std::byte* p) const { std::free(p); }
    };
    std::unique_ptr<std::byte, Free> data_;
};

} // namespace atelier
