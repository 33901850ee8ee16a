// Several samples pass the blocks together: each unit of weights is used once in each direction, for one sample after
// the other. What is fetched is fetched once for all of them, and every sum is added up in the order in which samples
// alone would add it, so that no bit depends on how many pass.
#pragma once
#include "models/flux/network.h"

namespace atelier {

// networks: after begin(), of one program and one model; the stream's units are weight_units'. conditioning: of each
// network, whose table is filled here, a block's columns just before it, so that modulation weights that are fetched
// arrive beside the blocks; none where the tables are full. Returns the predictions.
std::vector<Sym> emit_forward(Program&, UnitStream&, const FluxLayers&, std::span<FluxNetwork* const> networks,
    std::span<ConditioningTape> conditioning);
// After the above.
void emit_backward(
    UnitStream&, const FluxLayers&, std::span<FluxNetwork* const> networks, std::span<const Sym> dpredictions);

} // namespace atelier
