#include "models/flux/pass.h"
#include "models/flux/weight_units.h"

namespace atelier {

std::vector<Sym> emit_forward(Program& program, UnitStream& stream, const FluxLayers& layers,
    std::span<FluxNetwork* const> networks, std::span<ConditioningTape> conditioning) {
    for (int64_t b = 0; b < networks.front()->blocks(); ++b) {
        if (!conditioning.empty())
            emit_modulation(program, stream, layers, conditioning, modulation_end(layers.dims, b));
        stream.use(block_unit(layers.dims, b), [&] {
            for (FluxNetwork* network : networks) network->forward_block(b);
        });
    }
    if (!conditioning.empty())
        emit_modulation(program, stream, layers, conditioning, modulation_units(layers.dims) + 1);
    std::vector<Sym> predictions;
    for (FluxNetwork* network : networks) predictions.push_back(network->end());
    return predictions;
}

void emit_backward(UnitStream& stream, const FluxLayers& layers, std::span<FluxNetwork* const> networks,
    std::span<const Sym> dpredictions) {
    for (size_t i = 0; i < networks.size(); ++i) networks[i]->begin_backward(dpredictions[i]);
    for (int64_t b = networks.front()->blocks() - 1; b >= networks.front()->lowest(); --b)
        stream.use(block_unit(layers.dims, b), [&] {
            for (FluxNetwork* network : networks) network->backward_block(b);
        });
    for (FluxNetwork* network : networks) network->end_backward();
}

} // namespace atelier
