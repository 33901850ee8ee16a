// The inputs that every program over the transformer starts with.
#pragma once
#include "models/flux/network.h"
#include <span>

namespace atelier {

// Throws invalid_argument, naming the size, for a grid or text length that cannot be computed.
void check_shape(const FluxShape& shape);

// The conditioning inputs of a program: sinusoids of timestep and guidance, one row per step, and the pooled text.
struct ConditioningInputs {
    Sym time, guidance, pooled;
    ConditioningInputs(Program& program, const TransformerDims& dims, int64_t rows);
    std::vector<Sym> all() const { return {time, guidance, pooled}; }
    void fill(Memory& memory, const Program::Resolver& at, int64_t row, float sigma, float guidance_scale,
        std::span<const float> pooled_text) const;
};

} // namespace atelier
