#pragma once
#include "atelier/error.h"
#include <cstdint>
#include <string>
#include <vector>

namespace atelier {

// File checks for `atelier model inspect`: per component the tensors, bytes and dtype; throws what load would throw.
struct ComponentReport {
    std::string component;
    int64_t tensors = 0;
    uint64_t bytes = 0;
    std::string dtype;
    std::string details;
};
std::vector<ComponentReport> inspect_checkpoint(const std::string& dir);

} // namespace atelier
