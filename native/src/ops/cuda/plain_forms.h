// Kernels that are there for speed, beside others that give the same: what a card gets wrong, it can do without.
#pragma once
#include <cstdint>

namespace atelier {

class PlainForms {
public:
    // flash_attention: plain attention instead. row_products: products as of many rows. fp8_products: bf16's.
    enum class Fast : uint8_t { flash_attention, row_products, fp8_products };

    virtual ~PlainForms() = default;
    virtual void use_plain(Fast kernels) = 0; // from here on
    virtual bool takes_fp8() const = 0;
};

} // namespace atelier
