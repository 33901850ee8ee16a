// The 8-bit dynamic data type (8-Bit Approximations for Parallelism in Deep Learning, Dettmers 2015) as bitsandbytes builds it: 256
// values in -1..1 whose exponent grows as their fraction shrinks. Signed: first moments and NF4's nested scales; unsigned: second moments.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

namespace atelier {

struct DynamicMap {
    std::array<float, 256> values;   // ascending
    std::array<float, 255> between;  // halfway from each value to the next

    // The nearest value's index; halfway goes to the lower one.
    uint8_t nearest(float x) const {
        int code = 0;
        for (int step = 128; step > 0; step >>= 1)
            if (code + step <= 255 && x > between[static_cast<size_t>(code + step - 1)]) code += step;
        return static_cast<uint8_t>(code);
    }
};

const DynamicMap& signed_dynamic_map();
const DynamicMap& unsigned_dynamic_map();

} // namespace atelier
