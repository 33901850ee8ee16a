// FLUX.1's transformer/config.json, as diffusers writes it.
#pragma once
#include "atelier/types.h"

namespace atelier {

TransformerDims read_flux_config(const std::string& dir);

} // namespace atelier
