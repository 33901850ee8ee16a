// What one op has to do, as far as its record tells: the arithmetic of its products, and the bytes that go by. Times
// follow from a device's rates (planning/device_profile.h).
#pragma once
#include "tensor/weight.h"
#include <cstdint>

namespace atelier {

struct OpCost {
    enum class Kind : uint8_t { elements, product, attention, attention_bwd }; // they reach different rates
    Kind kind = Kind::elements;
    double flops = 0; // of products; what else is computed hides behind the bytes
    double bytes = 0; // of matrices and weights, each read or written once
    double widening = 0; // further bytes: NF4 weights read to be made the bf16 that products take
};

// A weight as a product with a matrix of `rows` rows reads it: NF4 is made bf16 first (read packed, written, read by
// the product), unless it is for one row, which is multiplied with the weight as it is.
inline void add_weight(OpCost& cost, const Weight& w, int64_t rows) {
    constexpr double kWide = 2; // bytes of an element as products take it
    const double packed = static_cast<double>(atelier::weight_bytes(w)),
                 wide = kWide * static_cast<double>(w.rows) * static_cast<double>(w.cols);
    if (w.format != WeightFormat::nf4 || rows == 1) {
        cost.bytes += packed;
        return;
    }
    cost.widening += packed + wide;
    cost.bytes += wide;
}

} // namespace atelier
