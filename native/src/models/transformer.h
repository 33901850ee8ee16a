// The diffusion transformer as training, sampling and the engine know it: layers by name, the passes through its
// blocks, the shapes of latents and prompt inputs, and its weights in the units that plans decide about. There is one
// family so far, so these are its types by their neutral names; what a second one must have is what is used of them.
// Which family a checkpoint is of, models/registry.h says.
#pragma once
#include "models/flux/inputs.h"
#include "models/flux/pass.h"
#include "models/flux/weight_units.h"
#include "models/flux/weights.h"

namespace atelier {

using TransformerLayers = FluxLayers;
using TransformerNetwork = FluxNetwork;
using TransformerShape = FluxShape;
using TransformerTables = FluxTables;
using TransformerWeights = FluxWeights;

} // namespace atelier
