// Several adapters on one linear: joined into one branch, or merged into its weight.
#pragma once
#include "atelier/types.h"
#include <utility>

namespace atelier {

struct WeightedAdapter {
    const AdapterWeights* adapter = nullptr;
    float weight = 1;
};

using LoraUses = std::vector<std::pair<const LoraModule*, float>>;

// invalid_argument for a weight that is no number.
void check_weights(std::span<const WeightedAdapter>);
// What the adapters have for the linear of this path; those of weight 0 have nothing.
LoraUses uses_of(std::span<const WeightedAdapter>, const std::string& path);

// One branch of their joint rank, of scale 1: weight · alpha / rank lies in B.
LoraModule joined(const LoraUses&);
// w (out, in) += Σ weight · alpha / rank · B · A
void merge_into(std::span<float> w, const LoraUses&);

} // namespace atelier
