// A frozen weight as the matrix kernels read it: dense, or NF4 blocks in bitsandbytes' layout. Does not own its bytes.
#pragma once
#include "tensor/dtype.h"

namespace atelier {

// NF4 (QLoRA, Dettmers et al. 2023; layout of bitsandbytes): blocks of 64 over the flattened row-major matrix, first element in
// the high nibble, absmax per block. With double quantisation absmax itself is 8-bit: offset + code[absmax8] * absmax2 per 256.
struct Nf4Data {
    const uint8_t* packed = nullptr;        // ceil(rows*cols/2)
    const float* absmax = nullptr;          // ceil(rows*cols/64); null when double-quantised
    const uint8_t* absmax8 = nullptr;       // ceil(rows*cols/64)
    const float* nested_absmax = nullptr;   // ceil(blocks/256)
    const float* nested_code = nullptr;     // 256 entries, the signed dynamic map
    float nested_offset = 0;
    // Elements of a row when scales are looked up from the row's start, see nf4_rows(); 0 when from the matrix's.
    int64_t row = 0;
    static constexpr int64_t kBlock = 64, kNestedBlock = 256;

    // The block whose scale an element of the flattened matrix takes, and the first element after it that may take another. constexpr,
    // because nvcc lets device code call such functions.
    constexpr int64_t block_of(int64_t index) const { return row ? index / row * (row / kBlock) + index % row / kBlock : index / kBlock; }
    constexpr int64_t run_end(int64_t index) const {
        if (!row) return (index / kBlock + 1) * kBlock;
        const int64_t column = index % row, next = (column / kBlock + 1) * kBlock;
        return index - column + (next < row ? next : row);
    }

    constexpr float block_scale(int64_t block) const {
        return absmax ? absmax[block] : nested_offset + nested_code[absmax8[block]] * nested_absmax[block / kNestedBlock];
    }
};

enum class WeightFormat : uint8_t { f32, f16, bf16, nf4 };

struct Weight {
    WeightFormat format = WeightFormat::f32;
    int64_t rows = 0, cols = 0;    // out_features, in_features: y = x · Wᵀ
    const void* dense = nullptr;   // f32, f16, bf16: rows*cols row-major
    Nf4Data nf4;
};

} // namespace atelier
