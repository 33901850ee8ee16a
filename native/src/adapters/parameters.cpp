#include "adapters/parameters.h"
#include "adapters/fit.h"
#include "base/error.h"
#include "base/philox.h"
#include <cmath>

namespace atelier {

LoraParameters lora_parameters(const std::vector<LinearModule>& linears, const DeclaredTrainOptions& o) {
    require(o.rank > 0, ErrorCode::invalid_argument, "rank ", o.rank, ": expected at least 1");
    const float alpha = o.alpha_or_default();
    require(alpha > 0 && std::isfinite(alpha), ErrorCode::invalid_argument, "alpha ", alpha,
        ": expected a positive number");
    return {o.rank, alpha, targeted(linears, o.targets)};
}

std::vector<float> initial_a(const LoraParameters& parameters, size_t index, uint64_t seed) {
    std::vector<float> drawn(static_cast<size_t>(parameters.rank * parameters.modules[index].in));
    PhiloxStream(seed, RandomUse::lora_init, index).normal(0, drawn);
    for (float& v : drawn) v /= static_cast<float>(parameters.rank);
    return drawn;
}

} // namespace atelier
