// Element types, by safetensors' names.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace atelier {

enum class DType : uint8_t { f32, f16, bf16, u8, i8, i32, i64, boolean, f64, i16, u16, u32, u64, f8_e4m3, f8_e5m2 };

size_t dtype_size(DType t);
const char* dtype_name(DType t);              // "F32", "BF16", …
bool dtype_from_name(std::string_view name, DType& out);

} // namespace atelier
