#include "adapters/values.h"
#include "base/error.h"
#include "base/fp8.h"
#include "base/half.h"
#include "formats/text.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace atelier {
namespace {

// The upper half of an IEEE half.
float e5m2_to_float(uint8_t bits) { return f16_to_float(static_cast<uint16_t>(bits << 8)); }

template <class Stored, class Convert>
void convert(const TensorView& t, std::vector<float>& out, Convert to_float) {
    for (size_t i = 0; i < out.size(); ++i) {
        Stored value;
        std::memcpy(&value, t.bytes.data() + i * sizeof(Stored), sizeof(Stored));
        out[i] = to_float(value);
    }
}

std::vector<float> numbers(const SafetensorsFile& file, const TensorView& t) {
    std::vector<float> out(static_cast<size_t>(t.count()));
    const auto cast = [](auto value) { return static_cast<float>(value); };
    switch (t.dtype) {
        case DType::f32: convert<float>(t, out, cast); return out;
        case DType::f64: convert<double>(t, out, cast); return out;
        case DType::f16: convert<uint16_t>(t, out, f16_to_float); return out;
        case DType::bf16: convert<uint16_t>(t, out, bf16_to_float); return out;
        case DType::f8_e4m3: convert<uint8_t>(t, out, e4m3_to_float); return out;
        case DType::f8_e5m2: convert<uint8_t>(t, out, e5m2_to_float); return out;
        case DType::i64: convert<int64_t>(t, out, cast); return out;
        case DType::i32: convert<int32_t>(t, out, cast); return out;
        case DType::i16: convert<int16_t>(t, out, cast); return out;
        case DType::i8: convert<int8_t>(t, out, cast); return out;
        case DType::u8: convert<uint8_t>(t, out, cast); return out;
        default:
            fail(ErrorCode::unsupported, file.path(), ": tensor ", in_quotes(t.name), " is ", dtype_name(t.dtype),
                ", expected F32, F16, BF16, F64 or F8");
    }
}

} // namespace

std::vector<float> read_values(const SafetensorsFile& file, const TensorView& t) {
    std::vector<float> values = numbers(file, t);
    const auto wrong = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
    require(wrong == values.end(), ErrorCode::corrupt, file.path(), ": tensor ", in_quotes(t.name),
        " holds NaN or infinity at element ", wrong - values.begin(), ": the training that made it diverged");
    return values;
}

float read_scalar(const SafetensorsFile& file, const TensorView& t) {
    require(t.count() == 1, ErrorCode::corrupt, file.path(), ": tensor ", in_quotes(t.name), " has ", t.count(),
        " values, expected one");
    const float value = numbers(file, t).front();
    require(std::isfinite(value) && std::abs(value) < 1e9f, ErrorCode::corrupt, file.path(), ": tensor ",
        in_quotes(t.name), " is ", value);
    return value;
}

bool is_zero(const SafetensorsFile& file, const TensorView& t) {
    const std::vector<float> values = numbers(file, t);
    return std::all_of(values.begin(), values.end(), [](float v) { return v == 0; });
}

} // namespace atelier
