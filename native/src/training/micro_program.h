// One micro-step as a recorded program for one picture shape: noise the latents, predict, measure, and carry the gradient back to the
// low-rank branches.
#pragma once
#include "models/flux/inputs.h"
#include "ops/placed_units.h"
#include <memory>

namespace atelier {

struct MicroProgram {
    // `layers`: with the trained branches bound; they and the weights must outlive the program. The loss counts for 1/accumulation.
    // Of `choice` only what is kept, and where, is read.
    MicroProgram(const FluxLayers& layers, const FluxShape& shape, int64_t accumulation, const MemoryChoice& choice, DType activations);

    // Puts what the program reads where its ops can; once, before the first run. parked: parking.host_bytes() of Memory::reserve_host.
    void place(Memory& memory, const PlacedUnits& weights, std::byte* parked);

    FluxShape shape;
    RopeTable rope;
    Program program;
    UnitStream stream;
    Parking parking;
    FluxNetwork network;
    ConditioningInputs conditioning;
    Sym latents, noise;   // (I, C) packed
    Sym prompt;           // (T, joint_dim)
    Sym sigma, weight;    // (1, 1): noise level, the loss's weight
    Sym prediction, loss; // (I, C), (1, 1): readable after the run
    std::unique_ptr<Constants> tables;
};

} // namespace atelier
