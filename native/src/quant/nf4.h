// NF4 as bitsandbytes stores it (QLoRA, Dettmers et al. 2023): blocks of 64 along the flattened tensor, first element
// in the high nibble, absmax per block; optionally absmax itself in 8 bits ("double quantisation").
#pragma once
#include "tensor/weight.h"
#include <span>
#include <vector>

namespace atelier {

extern const float kNf4Code[16];

// Owns what Nf4Data points to.
struct Nf4Storage {
    int64_t count = 0;
    std::vector<uint8_t> packed;
    std::vector<float> absmax;          // empty when double-quantised
    std::vector<uint8_t> absmax8;
    std::vector<float> nested_absmax;
    float nested_offset = 0;

    Nf4Data data() const;
    uint64_t bytes() const { return packed.size() + 4 * absmax.size() + absmax8.size() + 4 * nested_absmax.size(); }
};

// Quantises a tensor piece by piece, so that the wide tensor never has to exist: append() in order, pieces of whole
// blocks except the last.
class Nf4Builder {
public:
    Nf4Builder(int64_t count, bool double_quant);
    void append(std::span<const float> values);
    Nf4Storage finish();

private:
    Nf4Storage out_;
    int64_t done_ = 0;
    bool double_quant_;
};

// `data` as bitsandbytes' CPU kernel reads a matrix. Where rows are not whole blocks it counts blocks from each row's
// start, although they were counted from the matrix's when it was quantised; only rows of a multiple of 16 elements
// take that path. FLUX.1's rows are all whole blocks, where both counts agree; small checkpoints' are not, and their
// reference numbers come from this reading.
Nf4Data nf4_rows(Nf4Data data, int64_t cols);

Nf4Storage nf4_quantize_tensor(std::span<const float> values, bool double_quant);
void nf4_dequantize_range(const Nf4Data&, int64_t begin, std::span<float> values);

} // namespace atelier
