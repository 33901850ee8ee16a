// What trainers and samplers know of a FluxTransformer, and the inputs that they and forward() share.
#pragma once
#include "engine/device.h"
#include "models/flux/network.h"
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

// Throws invalid_argument, naming the size, for a grid or text length that cannot be computed.
void check_shape(const FluxShape& shape);

// The conditioning inputs of a program: sinusoids of timestep and guidance, one row per step, and the pooled text.
struct ConditioningInputs {
    Sym time, guidance, pooled;
    ConditioningInputs(Program& program, const FluxDims& dims, int64_t rows);
    std::vector<Sym> all() const { return {time, guidance, pooled}; }
    void fill(const Program::Resolver& at, int64_t row, float sigma, float guidance_scale, std::span<const float> pooled_text) const;
};

// An op that does nothing but use its matrices: inputs are alive from it, outputs until it.
void emit_alive(Program& program, const char* name, const std::vector<Sym>& matrices);

// The engine's own sets all have the shape (rows, cols).
Tensor read_tensor(const View& view);
void write_rows(std::span<const float> values, const View& view);

} // namespace atelier
