#include "engine/one_shot.h"
#include "base/error.h"
#include <algorithm>
#include <cmath>

namespace atelier {

std::vector<float> read_rows(Memory& memory, const View& view, const char* what) {
    std::vector<float> out = values_of(memory, view);
    require(std::all_of(out.begin(), out.end(), [](float v) { return std::isfinite(v); }), ErrorCode::internal, what,
        ": the result holds NaN or infinity although weights and input are finite");
    return out;
}

void check_input(std::span<const float> values, int64_t count, const char* what) {
    require(static_cast<int64_t>(values.size()) == count, ErrorCode::invalid_argument, what, " has ", values.size(),
        " values, expected ", count);
    const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    require(bad == values.end(), ErrorCode::invalid_argument, what, " holds NaN or infinity at element ",
        bad - values.begin());
}

} // namespace atelier
