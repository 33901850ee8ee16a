// A linear that BFL's names have and diffusers' have not: query, key and value (and a single block's MLP) as one. Our
// modules in one of those lie on a block diagonal, which is taken apart exactly; a B that mixes the ranks is split by
// rows, each part keeping all of A.
#pragma once
#include "adapters/module_names.h"
#include "atelier/types.h"
#include <functional>

namespace atelier {

using TakeModule = std::function<void(const std::string& path, LoraModule&&)>;

// The two halves of B's rows change places: shift and scale of the last norm.
void swap_halves(LoraModule&);
// Gives each part that the module has. corrupt for outputs that do not make the parts.
void split(const FluxModule&, const LoraModule&, const std::string& label, const TakeModule&);

} // namespace atelier
