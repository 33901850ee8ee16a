// A frozen weight as the matrix kernels read it: dense, or NF4 blocks in bitsandbytes' layout. Does not own its bytes.
#pragma once
#include "tensor/dtype.h"

namespace atelier {

// NF4 (QLoRA, Dettmers et al. 2023; layout of bitsandbytes): blocks of 64 over the flattened row-major matrix, first
// element in the high nibble, absmax per block. With double quantisation absmax itself is 8-bit: offset + code[absmax8]
// * absmax2 per 256.
struct Nf4Data {
    const uint8_t* packed = nullptr; // ceil(rows*cols/2)
    const float* absmax = nullptr; // ceil(rows*cols/64); null when double-quantised
    const uint8_t* absmax8 = nullptr; // ceil(rows*cols/64)
    const float* nested_absmax = nullptr; // ceil(blocks/256)
    const float* nested_code = nullptr; // 256 entries, the signed dynamic map
    float nested_offset = 0;
    // Elements of a row when scales are looked up from the row's start, see nf4_rows(); 0 when from the matrix's.
    int64_t row = 0;
    static constexpr int64_t kBlock = 64, kNestedBlock = 256;

    // The block whose scale an element of the flattened matrix takes, and the first element after it that may take
    // another. constexpr, because nvcc lets device code call such functions.
    constexpr int64_t block_of(int64_t index) const {
        return row ? index / row * (row / kBlock) + index % row / kBlock : index / kBlock;
    }
    constexpr int64_t run_end(int64_t index) const {
        if (!row) return (index / kBlock + 1) * kBlock;
        const int64_t column = index % row, next = (column / kBlock + 1) * kBlock;
        return index - column + (next < row ? next : row);
    }

    constexpr float block_scale(int64_t block) const {
        return absmax ? absmax[block]
                      : nested_offset + nested_code[absmax8[block]] * nested_absmax[block / kNestedBlock];
    }
};

enum class WeightFormat : uint8_t { f32, f16, bf16, nf4 };

struct Weight {
    WeightFormat format = WeightFormat::f32;
    int64_t rows = 0, cols = 0; // out_features, in_features: y = x · Wᵀ
    const void* dense = nullptr; // f32, f16, bf16: rows*cols row-major
    Nf4Data nf4;
};

// Bytes of a matrix in a format, scales included.
constexpr uint64_t weight_bytes(WeightFormat format, int64_t rows, int64_t cols, bool double_quant) {
    const uint64_t count = static_cast<uint64_t>(rows * cols), blocks = (count + Nf4Data::kBlock - 1) / Nf4Data::kBlock;
    switch (format) {
        case WeightFormat::f32: return 4 * count;
        case WeightFormat::f16:
        case WeightFormat::bf16: return 2 * count;
        case WeightFormat::nf4:
            return (count + 1) / 2 +
                   (double_quant ? blocks + 4 * ((blocks + Nf4Data::kNestedBlock - 1) / Nf4Data::kNestedBlock)
                                 : 4 * blocks);
    }
    return 0;
}

constexpr uint64_t weight_bytes(const Weight& w) {
    return weight_bytes(w.format, w.rows, w.cols, w.nf4.absmax == nullptr);
}

} // namespace atelier
