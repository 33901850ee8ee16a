// The transformer's layers with adapters on them: as low-rank branches beside the base, or merged into copies of the
// linears they touch.
#pragma once
#include "adapters/merge.h"
#include "memory/arena.h"
#include "memory/constants.h"
#include "models/transformer.h"
#include <deque>
#include <memory>

namespace atelier {

class AdaptedLayers {
public:
    // Beside: several adapters on one linear become one branch of their joint rank. Fused: W + Σ weight · alpha/rank ·
    // B · A, from the source's values where they are at hand, kept like the base (NF4 again where the base is).
    AdaptedLayers(
        const TransformerWeights& weights, std::span<const WeightedAdapter> adapters, bool fused, Memory& memory);

    const TransformerLayers& layers() const { return layers_; }
    uint64_t bytes() const { return bytes_; } // beyond the base
    const Constants& constants() const { return *constants_; } // of what was fused

private:
    void add_branch(Memory& memory, Linear& linear, const LoraUses& uses);
    void fuse(const TransformerWeights& weights, const std::string& path, Linear& linear, const LoraUses& uses);

    TransformerLayers layers_;
    std::unique_ptr<Constants> constants_;
    std::deque<Arena> branches_;
    uint64_t bytes_ = 0;
    std::deque<std::vector<float>> values_;
    std::deque<Nf4Storage> quantized_;
};

} // namespace atelier
