// What is trained of an adapter: which matrices, how large, and how they start.
#pragma once
#include "atelier/types.h"

namespace atelier {

struct LoraParameters {
    int64_t rank = 0;
    float alpha = 0;
    std::vector<LinearModule> modules; // in the order of the linears

    float scale() const { return alpha / static_cast<float>(rank); }
};

// invalid_argument for a rank, an alpha or a target that cannot be, naming it.
LoraParameters lora_parameters(const std::vector<LinearModule>& linears, const DeclaredTrainOptions& options);

// A of the index-th module: N(0, 1/rank²), peft's "gaussian". B starts at zero.
std::vector<float> initial_a(const LoraParameters& parameters, size_t index, uint64_t seed);

} // namespace atelier
