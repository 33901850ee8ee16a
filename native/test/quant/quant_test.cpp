#include <doctest/doctest.h>

#include "base/fp8.h"
#include "base/half.h"
#include "quant/dynamic_map.h"
#include "quant/nf4.h"
#include "support.h"

using namespace atelier;

TEST_CASE("dynamic maps are sorted, hold 0 and 1, and give a value back within a step") {
    for (const DynamicMap* map : {&signed_dynamic_map(), &unsigned_dynamic_map()}) {
        CHECK(std::is_sorted(map->values.begin(), map->values.end()));
        CHECK(map->values.back() == 1.0f);
        CHECK(std::count(map->values.begin(), map->values.end(), 0.0f) == 1);
        for (float value : map->values)
            CHECK(std::fabs(map->values[dynamic_code(*map, value)] - value) <= 2.0f / 65535);
        CHECK(map->values[dynamic_code(*map, 2.0f)] == 1.0f);
    }
}

TEST_CASE("NF4 by pieces equals NF4 at once, and a value is never further than half a step away") {
    std::mt19937 random(5);
    test::Matrix x(7, 150, random);
    const Nf4Storage whole = nf4_quantize_tensor(x.values, false);
    Nf4Builder builder(1050, false);
    const std::span<const float> values = x.values;
    builder.append(values.subspan(0, 640));
    builder.append(values.subspan(640, 64));
    builder.append(values.subspan(704));
    const Nf4Storage pieces = builder.finish();
    CHECK(whole.packed == pieces.packed);
    CHECK(whole.absmax == pieces.absmax);
    std::vector<float> back(1050);
    nf4_dequantize_range(whole.data(), 0, back);
    for (size_t i = 0; i < back.size(); ++i)
        CHECK(std::fabs(back[i] - x.values[i]) <= 0.152f * whole.absmax[i / 64]); // the widest gap is -1 … -0.696
}

TEST_CASE("rows that are not whole blocks take scales from their own start, as bitsandbytes' CPU kernel does") {
    std::mt19937 random(6);
    test::Matrix x(5, 96, random);
    const Nf4Storage s = nf4_quantize_tensor(x.values, false);
    std::vector<float> flat(480), rows(480);
    nf4_dequantize_range(nf4_rows(s.data(), 40), 0, flat); // no multiple of 16: the plain path
    nf4_dequantize_range(nf4_rows(s.data(), 96), 0, rows);
    for (size_t i = 0; i < flat.size(); ++i) {
        const size_t row = i / 96, column = i % 96;
        CHECK(flat[i] * s.absmax[row + column / 64] == doctest::Approx(rows[i] * s.absmax[i / 64]).epsilon(1e-6));
    }
    CHECK(nf4_rows(s.data(), 128).row == 0);
}

TEST_CASE("a block of zeros comes back as zeros, also double-quantised") {
    const std::vector<float> zeros(130);
    for (bool twice : {false, true}) {
        std::vector<float> back(130, 1.0f);
        const Nf4Storage s = nf4_quantize_tensor(zeros, twice);
        nf4_dequantize_range(s.data(), 0, back);
        CHECK(back == zeros);
    }
}

TEST_CASE("halves round to nearest even and come back") {
    for (uint32_t bits = 0; bits < 65536; ++bits) {
        const auto h = static_cast<uint16_t>(bits);
        const float f = f16_to_float(h), b = bf16_to_float(h);
        if (f == f) CHECK(float_to_f16(f) == h);
        if (b == b) CHECK(float_to_bf16(b) == h);
    }
    CHECK(float_to_f16(65520.0f) == 0x7c00);
    CHECK(float_to_f16(65519.0f) == 0x7bff);
    CHECK(float_to_bf16(1.00390625f) == 0x3f80); // halfway: to even
}

TEST_CASE("e4m3: every code and back, ties to even, neighbours of ties, saturation") {
    const auto magnitude = [](int code) {
        return code < 8 ? code * 0x1p-9 : std::ldexp(1 + code % 8 / 8.0, code / 8 - 7);
    };
    for (int code = 0; code < 0x7f; ++code)
        for (const int sign : {0, 0x80}) {
            CAPTURE(code);
            const float exact = static_cast<float>(sign ? -magnitude(code) : magnitude(code));
            CHECK(std::bit_cast<uint32_t>(e4m3_to_float(static_cast<uint8_t>(code | sign))) ==
                  std::bit_cast<uint32_t>(exact)); // also of which zero
            CHECK(float_to_e4m3(exact) == (code | sign));
            if (code == 0x7e) continue;
            const float half = static_cast<float>((magnitude(code) + magnitude(code + 1)) / 2);
            const auto narrowed = [&](float v) { return static_cast<int>(float_to_e4m3(sign ? -v : v)); };
            CHECK(narrowed(half) == ((code + code % 2) | sign));
            CHECK(narrowed(std::nextafter(half, 0.0f)) == (code | sign));
            CHECK(narrowed(std::nextafter(half, 1000.0f)) == ((code + 1) | sign));
        }
    for (const float beyond : {448.5f, 464.0f, 480.0f, 1e30f, INFINITY}) {
        CHECK(float_to_e4m3(beyond) == 0x7e);
        CHECK(float_to_e4m3(-beyond) == 0xfe);
    }
    for (const float nan : {NAN, -NAN}) CHECK(float_to_e4m3(nan) == 0x7f);
    CHECK(std::isnan(e4m3_to_float(0x7f)));
    CHECK(std::isnan(e4m3_to_float(0xff)));
    CHECK(e4m3_scale(0) == 1);
    CHECK(e4m3_scale(1e-38f) == 1);
    CHECK(e4m3_scale(896) == 2);
}
