// One micro-step as a recorded program for one picture shape: noise the latents, predict, measure, and carry the gradient back to the
// low-rank branches.
#pragma once
#include "models/flux/inputs.h"
#include "ops/placed_units.h"
#include <memory>

namespace atelier {

struct MicroProgram {
    // `layers`: with the trained branches bound; they and the weights must outlive the program. The loss counts for 1/accumulation.
    MicroProgram(const FluxLayers& layers, const FluxShape& shape, int64_t accumulation, const std::vector<BlockKeep>& keep, DType activations);

    // Puts what the program reads where its ops can; once, before the first run.
    void place(Memory& memory, const PlacedUnits& weights);

    FluxShape shape;
    RopeTable rope;
    Program program;
    UnitStream stream;
    FluxNetwork network;
    ConditioningInputs conditioning;
    Sym latents, noise;   // (I, C) packed
    Sym prompt;           // (T, joint_dim)
    Sym sigma, weight;    // (1, 1): noise level, the loss's weight
    Sym prediction, loss; // (I, C), (1, 1): readable after the run
    std::unique_ptr<Constants> tables;
};

} // namespace atelier
