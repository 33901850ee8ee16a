// fp8 of four exponent and three mantissa bits as codes, to and from float; narrowing rounds to nearest even and
// saturates: e4m3 has no infinity. constexpr, because nvcc lets device code call what a constant could be made with.
#pragma once
#include <bit>
#include <cstdint>

namespace atelier {

constexpr float kE4m3Largest = 448;

static constexpr float e4m3_to_float(uint8_t code) {
    const uint32_t sign = static_cast<uint32_t>(code & 0x80) << 24, magnitude = code & 0x7f;
    if (magnitude == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000u); // the only NaN
    if (magnitude < 8) { // zero and subnormals: exact as an integer times 2^-9
        const float value = static_cast<float>(magnitude) * 0x1p-9f;
        return sign ? -value : value;
    }
    return std::bit_cast<float>(sign | ((magnitude << 20) + (120u << 23)));
}

// The bits of the card's cvt.rn.satfinite.e4m3x2.f32: what is beyond the largest value, infinities too, becomes it, and
// a NaN loses its sign.
static constexpr uint8_t float_to_e4m3(float f) {
    const uint32_t bits = std::bit_cast<uint32_t>(f), sign = (bits >> 24) & 0x80, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000u) return 0x7f;
    if (magnitude >= 0x43e00000u) return static_cast<uint8_t>(sign | 0x7e); // 448
    if (magnitude < 0x3c800000u) { // below 2^-6: adding 2^14 leaves round(m · 2^9) in the low bits
        const uint32_t rounded =
            std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0x1p14f) - std::bit_cast<uint32_t>(0x1p14f);
        return static_cast<uint8_t>(sign | rounded);
    }
    return static_cast<uint8_t>(sign | ((magnitude + 0x7ffffu + ((magnitude >> 20) & 1) - (120u << 23)) >> 20));
}

// What a matrix is divided by before it is narrowed, from its largest magnitude. Zeros, and what is too small to divide
// by, keep themselves.
static constexpr float e4m3_scale(float largest) { return largest < 0x1p-100f ? 1.0f : largest / kE4m3Largest; }

} // namespace atelier
