#include "tensor/dtype.h"
#include <array>

namespace atelier {
namespace {

struct Row {
    DType type;
    const char* name;
    size_t size;
};

constexpr std::array<Row, 15> kRows{{{DType::f32, "F32", 4}, {DType::f16, "F16", 2}, {DType::bf16, "BF16", 2},
    {DType::u8, "U8", 1}, {DType::i8, "I8", 1}, {DType::i32, "I32", 4}, {DType::i64, "I64", 8},
    {DType::boolean, "BOOL", 1}, {DType::f64, "F64", 8}, {DType::i16, "I16", 2}, {DType::u16, "U16", 2},
    {DType::u32, "U32", 4}, {DType::u64, "U64", 8}, {DType::f8_e4m3, "F8_E4M3", 1}, {DType::f8_e5m2, "F8_E5M2", 1}}};

} // namespace

size_t dtype_size(DType t) { return kRows[static_cast<size_t>(t)].size; }
const char* dtype_name(DType t) { return kRows[static_cast<size_t>(t)].name; }

bool dtype_from_name(std::string_view name, DType& out) {
    for (const Row& row : kRows)
        if (name == row.name) {
            out = row.type;
            return true;
        }
    return false;
}

} // namespace atelier
