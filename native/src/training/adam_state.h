// The optimizer's memory of one tensor, in the caller's bytes, and the update that reads it. Which of three arithmetics
// applies follows from the optimizer's name and the tensor's size, as in bitsandbytes: 8-bit states only from 4096
// elements on.
#pragma once
#include "atelier/train_options.h"
#include "ops/ops.h"
#include <cstddef>

namespace atelier {

enum class AdamKind { torch, bnb32, bnb8 };

// invalid_argument for a value that is none.
AdamKind adam_kind(OptimizerKind optimizer, int64_t count);

class AdamState {
public:
    static uint64_t bytes(AdamKind kind, int64_t count); // a multiple of 64
    // `memory` holds bytes(kind, count), aligned to 64, all zeros at the start of a run.
    AdamState(AdamKind kind, int64_t count, std::byte* memory);

    void step(Ops& ops, const AdamArgs& args, const View& param, const View& grad) const;

    AdamKind kind() const { return kind_; }
    // First and second moment (count, 1): f32, or u8 codes with their scales (ceil(count/256), 1).
    const View& m() const { return m_; }
    const View& v() const { return v_; }
    const View& m_absmax() const { return m_absmax_; }
    const View& v_absmax() const { return v_absmax_; }

private:
    AdamKind kind_;
    View m_, v_, m_absmax_, v_absmax_;
};

} // namespace atelier
