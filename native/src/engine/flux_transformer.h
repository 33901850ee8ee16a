// What trainers and samplers know of a FluxTransformer.
#pragma once
#include "engine/device.h"
#include "models/flux/inputs.h"
#include "models/flux/weights.h"
#include "ops/constants.h"

namespace atelier {

struct FluxTransformer::Impl {
    std::shared_ptr<Device> device;
    FluxWeights weights;
    std::vector<LinearModule> modules;
    Constants constants; // the weights, where the device reads them

    Impl(std::shared_ptr<Device> on, FluxWeights w);
    const FluxDims& dims() const { return weights.layers().dims; }
    Ops& ops() const { return *device->impl->ops; }
    Memory& memory() const { return ops().memory(); }
};

// The engine's own sets all have the shape (rows, cols).
Tensor read_tensor(Memory& memory, const View& view);

} // namespace atelier
