#include "quant/dynamic_map.h"
#include <algorithm>
#include <cmath>
#include <vector>

namespace atelier {
namespace {

// PyTorch's linspace(0.1, 1, count) in float32: counted from the nearer end, each product rounded together with its
// sum.
std::vector<float> boundaries(int count) {
    std::vector<float> x(static_cast<size_t>(count));
    const float start = 0.1f, end = 1.0f, step = (end - start) / static_cast<float>(count - 1);
    for (int i = 0; i < count; ++i)
        x[static_cast<size_t>(i)] = i < count / 2 ? std::fma(step, static_cast<float>(i), start)
                                                  : std::fma(-step, static_cast<float>(count - 1 - i), end);
    return x;
}

DynamicMap build(bool is_signed) {
    constexpr int kExponentBits = 7;
    std::vector<float> values = {0.0f, 1.0f};
    for (int i = 0; i < kExponentBits; ++i) {
        const auto edge = boundaries((is_signed ? 1 << i : 2 << i) + 1);
        const float scale = static_cast<float>(std::pow(10.0, i - (kExponentBits - 1)));
        for (size_t j = 0; j + 1 < edge.size(); ++j) {
            const float value = scale * ((edge[j] + edge[j + 1]) / 2.0f);
            values.push_back(value);
            if (is_signed) values.push_back(-value);
        }
    }
    std::sort(values.begin(), values.end());
    DynamicMap map;
    std::copy_n(values.begin(), map.values.size(), map.values.begin());
    size_t code = 0;
    for (int i = 0; i < DynamicMap::kSteps; ++i) {
        const float x = -1.0f + 2.0f * static_cast<float>(i) / static_cast<float>(DynamicMap::kSteps - 1);
        while (code < 255 && 0.5f * (map.values[code] + map.values[code + 1]) < x) ++code;
        map.step_code[static_cast<size_t>(i)] = static_cast<uint8_t>(code);
    }
    return map;
}

} // namespace

const DynamicMap& signed_dynamic_map() {
    static const DynamicMap map = build(true);
    return map;
}

const DynamicMap& unsigned_dynamic_map() {
    static const DynamicMap map = build(false);
    return map;
}

} // namespace atelier
