#include "quant/nf4.h"
#include "base/error.h"
#include "quant/dynamic_map.h"
#include <algorithm>
#include <array>
#include <cmath>

namespace atelier {

const float kNf4Code[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f,
    -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f,
    0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f,
    0.7229568362236023f, 1.0f};

namespace {

// Nearest entry of the code book; a value halfway between two goes to the lower.
uint8_t nearest(float x) {
    static const auto between = [] {
        std::array<float, 15> t;
        for (size_t i = 0; i < t.size(); ++i) t[i] = (kNf4Code[i] + kNf4Code[i + 1]) / 2.0f;
        return t;
    }();
    int code = 0;
    for (float t : between) code += x > t;
    return static_cast<uint8_t>(code);
}

// A block's elements over its absmax, in -1..1. bitsandbytes multiplies whole blocks by the reciprocal and divides the
// last, partial one: the two round differently.
struct Normalise {
    float high, inverse;
    bool whole;
    Normalise(float absmax, bool whole_block)
        : high(std::max(absmax, 1e-38f)), inverse(1.0f / high), whole(whole_block) {}
    float operator()(float x) const { return std::clamp(whole ? x * inverse : x / high, -1.0f, 1.0f); }
};

} // namespace

Nf4Data nf4_rows(Nf4Data data, int64_t cols) {
    constexpr int64_t kLanes = 16; // floats in the kernel's registers
    data.row = cols % Nf4Data::kBlock != 0 && cols % kLanes == 0 ? cols : 0;
    return data;
}

Nf4Data Nf4Storage::data() const {
    Nf4Data d;
    d.packed = packed.data();
    d.absmax = absmax.empty() ? nullptr : absmax.data();
    d.absmax8 = absmax8.data();
    d.nested_absmax = nested_absmax.data();
    d.nested_code = signed_dynamic_map().values.data();
    d.nested_offset = nested_offset;
    return d;
}

Nf4Builder::Nf4Builder(int64_t count, bool double_quant) : double_quant_(double_quant) {
    out_.count = count;
    out_.packed.assign(static_cast<size_t>((count + 1) / 2), 0);
    out_.absmax.assign(static_cast<size_t>((count + Nf4Data::kBlock - 1) / Nf4Data::kBlock), 0.0f);
}

void Nf4Builder::append(std::span<const float> values) {
    require(done_ % Nf4Data::kBlock == 0 && done_ + static_cast<int64_t>(values.size()) <= out_.count,
        ErrorCode::internal, "NF4 piece at ", done_);
    for (size_t begin = 0; begin < values.size(); begin += Nf4Data::kBlock) {
        const auto block = values.subspan(begin, std::min<size_t>(Nf4Data::kBlock, values.size() - begin));
        float high = 0;
        for (float v : block) high = std::max(high, std::fabs(v));
        out_.absmax[static_cast<size_t>(done_ / Nf4Data::kBlock)] = high;
        const Normalise normalise(high, block.size() == Nf4Data::kBlock);
        uint8_t* packed = out_.packed.data() + done_ / 2;
        for (size_t i = 0; i < block.size(); i += 2) {
            const uint8_t first = nearest(normalise(block[i]));
            const uint8_t second = i + 1 < block.size() ? nearest(normalise(block[i + 1])) : nearest(0);
            packed[i / 2] = static_cast<uint8_t>(first << 4 | second);
        }
        done_ += static_cast<int64_t>(block.size());
    }
}

Nf4Storage Nf4Builder::finish() {
    require(done_ == out_.count, ErrorCode::internal, "NF4 tensor finished at ", done_, " of ", out_.count);
    if (!double_quant_) return std::move(out_);
    // absmax - mean in 8 bits: blocks of 256, signed dynamic map
    double sum = 0;
    for (float a : out_.absmax) sum += a;
    out_.nested_offset = static_cast<float>(sum / static_cast<double>(out_.absmax.size()));
    const size_t blocks = out_.absmax.size();
    out_.absmax8.resize(blocks);
    for (size_t begin = 0; begin < blocks; begin += Nf4Data::kNestedBlock) {
        const size_t end = std::min(blocks, begin + Nf4Data::kNestedBlock);
        for (size_t i = begin; i < end; ++i) out_.absmax[i] -= out_.nested_offset;
        out_.nested_absmax.push_back(quantize_block(
            signed_dynamic_map(), &out_.absmax[begin], static_cast<int64_t>(end - begin), &out_.absmax8[begin]));
    }
    out_.absmax.clear();
    out_.absmax.shrink_to_fit();
    return std::move(out_);
}

Nf4Storage nf4_quantize_tensor(std::span<const float> values, bool double_quant) {
    Nf4Builder builder(static_cast<int64_t>(values.size()), double_quant);
    builder.append(values);
    return builder.finish();
}

void nf4_dequantize_range(const Nf4Data& d, int64_t begin, std::span<float> values) {
    for (size_t i = 0; i < values.size(); ++i) {
        const int64_t at = begin + static_cast<int64_t>(i);
        const uint8_t byte = d.packed[at / 2];
        values[i] = kNf4Code[at & 1 ? byte & 15 : byte >> 4] * d.block_scale(d.block_of(at));
    }
}

} // namespace atelier
