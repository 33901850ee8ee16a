// An exponential moving average of the trained weights, as torch.optim.swa_utils has it (AveragedModel with
// get_ema_multi_avg_fn): the first is a copy, each later one ema + (1 - decay) (weights - ema). It lies in the host's
// memory, in one order of roundings on every device.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace atelier {

class WeightAverage {
public:
    WeightAverage() = default; // none is kept
    WeightAverage(double decay, size_t count) : share_(1 - decay), values_(count) {}

    bool kept() const { return !values_.empty(); }
    // After the optimizer step `step`, counted from 1; `weights`: as many as were announced.
    void take(std::span<const float> weights, int64_t step) {
        const float share = static_cast<float>(share_);
        for (size_t i = 0; i < values_.size(); ++i)
            values_[i] = step == 1 ? weights[i] : values_[i] + share * (weights[i] - values_[i]);
    }
    std::span<const float> values() const { return values_; }
    std::span<std::byte> bytes() { return std::as_writable_bytes(std::span(values_)); }

private:
    double share_ = 1;
    std::vector<float> values_;
};

} // namespace atelier
