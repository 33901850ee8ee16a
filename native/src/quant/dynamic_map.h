// The 8-bit dynamic data type (8-Bit Approximations for Parallelism in Deep Learning, Dettmers 2015) as bitsandbytes
// builds it: 256 values in -1..1 whose exponent grows as their fraction shrinks. Signed: first moments and NF4's nested
// scales; unsigned: second moments.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace atelier {

struct DynamicMap {
    static constexpr int kSteps = 65536;
    std::array<float, 256> values; // ascending
    std::array<uint8_t, kSteps> step_code; // -1..1 in even steps to the nearest value's index
};

// Functions here are static: they are compiled for several instruction sets, and no set may borrow another's copy.

// bitsandbytes on the CPU rounds to one of 65536 steps first, so near zero, where values lie closer than steps, several
// share a code.
static constexpr uint16_t dynamic_step(float x) { // constexpr: device code calls it too
    x = x < -1.0f ? -1.0f : x > 1.0f ? 1.0f : x;
    return static_cast<uint16_t>((x + 1.0f) * 0.5f * (DynamicMap::kSteps - 1) + 0.5f);
}
static inline uint8_t dynamic_code(const DynamicMap& map, float x) { return map.step_code[dynamic_step(x)]; }

// One block of values to codes and their largest magnitude, which the caller keeps. A block of zeros has the code 0
// everywhere.
static inline float quantize_block(const DynamicMap& map, const float* values, int64_t count, uint8_t* codes) {
    float high = 0;
    for (int64_t i = 0; i < count; ++i) high = values[i] > high ? values[i] : -values[i] > high ? -values[i] : high;
    const float inverse = high > 0 ? 1.0f / high : 0.0f;
    for (int64_t i = 0; i < count; ++i) codes[i] = high > 0 ? dynamic_code(map, values[i] * inverse) : 0;
    return high;
}

const DynamicMap& signed_dynamic_map();
const DynamicMap& unsigned_dynamic_map();

} // namespace atelier
