// What trainers and samplers know of a Transformer.
#pragma once
#include "atelier/transformer.h"
#include "engine/device.h"
#include "memory/placed_units.h"
#include "models/transformer.h"

namespace atelier {

struct Transformer::Impl {
    std::shared_ptr<Device> device;
    TransformerWeights weights;
    std::vector<LinearModule> modules;
    UnitPacks packs;

    Impl(std::shared_ptr<Device> on, TransformerWeights w);
    const TransformerDims& dims() const { return weights.layers().dims; }
    Ops& ops() const { return *device->impl->ops; }
    Memory& memory() const { return ops().memory(); }

    // The weights on the device, `residence` by unit; whoever asks for the same shares them. They stay when nobody uses
    // them any more, until others are asked for.
    std::shared_ptr<const PlacedUnits> place(const std::vector<Residence>& residence);
    // Of the device, counting what place() would give back.
    uint64_t free_bytes() const;
    // For pictures: what is placed already; else as many units as leave `other_bytes` of free_bytes(), or of `budget`
    // where that is not 0. resource_exhausted, with the bytes that are needed.
    std::vector<Residence> residence_beside(uint64_t other_bytes, uint64_t budget) const;

private:
    mutable std::mutex placing_;
    std::shared_ptr<const PlacedUnits> placed_;
};

} // namespace atelier
