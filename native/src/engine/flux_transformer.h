// What trainers and samplers know of a FluxTransformer.
#pragma once
#include "engine/device.h"
#include "models/flux/inputs.h"
#include "models/flux/weights.h"

namespace atelier {

struct FluxTransformer::Impl {
    std::shared_ptr<Device> device;
    FluxWeights weights;
    std::vector<LinearModule> modules;

    Impl(std::shared_ptr<Device> on, FluxWeights w);
    const FluxDims& dims() const { return weights.layers().dims; }
    Ops& ops() const { return *device->impl->ops; }
};

// The engine's own sets all have the shape (rows, cols).
Tensor read_tensor(const View& view);
void write_rows(std::span<const float> values, const View& view);

} // namespace atelier
