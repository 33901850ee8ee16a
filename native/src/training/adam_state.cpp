#include "training/adam_state.h"
#include "base/error.h"

namespace atelier {
namespace {

constexpr int64_t kSmallest8bit = 4096, kBlock = 256; // bitsandbytes' min_8bit_size and block size

uint64_t rounded(uint64_t bytes) { return (bytes + 63) / 64 * 64; }
int64_t blocks(int64_t count) { return (count + kBlock - 1) / kBlock; }

} // namespace

AdamKind adam_kind(OptimizerKind optimizer, int64_t count) {
    switch (optimizer) {
        case OptimizerKind::adamw: return AdamKind::torch;
        case OptimizerKind::adamw8bit_all: return AdamKind::bnb8;
        case OptimizerKind::adamw8bit: return count >= kSmallest8bit ? AdamKind::bnb8 : AdamKind::bnb32;
    }
    fail(ErrorCode::invalid_argument, "optimizer ", static_cast<int>(optimizer), " is unknown; there are ",
        list_of_names<OptimizerKind>());
}

uint64_t AdamState::bytes(AdamKind kind, int64_t count) {
    const uint64_t n = static_cast<uint64_t>(count);
    if (kind != AdamKind::bnb8) return 2 * rounded(n * sizeof(float));
    return 2 * rounded(n) + 2 * rounded(static_cast<uint64_t>(blocks(count)) * sizeof(float));
}

AdamState::AdamState(AdamKind kind, int64_t count, std::byte* memory) : kind_(kind) {
    const auto take = [&](int64_t rows, DType dtype) {
        const View view{memory, rows, 1, 1, dtype};
        memory += rounded(static_cast<uint64_t>(rows) * dtype_size(dtype));
        return view;
    };
    const DType dtype = kind == AdamKind::bnb8 ? DType::u8 : DType::f32;
    m_ = take(count, dtype);
    v_ = take(count, dtype);
    if (kind != AdamKind::bnb8) return;
    m_absmax_ = take(blocks(count), DType::f32);
    v_absmax_ = take(blocks(count), DType::f32);
}

void AdamState::step(Ops& ops, const AdamArgs& args, const View& param, const View& grad) const {
    switch (kind_) {
        case AdamKind::torch: return ops.adamw(args, param, grad, m_, v_);
        case AdamKind::bnb32: return ops.adamw_bnb32(args, param, grad, m_, v_);
        case AdamKind::bnb8: return ops.adamw8bit(args, param, grad, m_, v_, m_absmax_, v_absmax_);
    }
}

} // namespace atelier
