// Micro-steps of one picture shape as a recorded program: noise each sample's latents, predict, measure, and carry the
// gradient back to the low-rank branches. Several samples pass the blocks together, each as if it were alone.
#pragma once
#include "memory/placed_units.h"
#include "models/transformer.h"
#include <deque>

namespace atelier {

inline constexpr int64_t kMostTogether = 8; // beyond it what is fetched costs nothing any more

// The group sizes that programs are made for, so that any number of samples can be run: a power of two, its half, … 1.
inline std::vector<int64_t> group_sizes(int64_t together) {
    std::vector<int64_t> sizes;
    for (; together > 0; together /= 2) sizes.push_back(together);
    return sizes;
}

struct MicroProgramOptions {
    int64_t together = 1;        // samples
    int64_t accumulation = 1;    // the loss of each counts for 1/accumulation
    std::vector<BlockKeep> keep; // of every sample
    DType activations = DType::f32;
    std::vector<bool> parked;    // MemoryChoice's, or empty
    bool forward_only = false;   // to score: the loss without a gradient; `keep` and `parked` say nothing then
    bool huber = false;          // the loss; it takes no other memory than mean squared error
};

struct MicroProgram {
    // `layers`: with the trained branches bound; they, the weights and `tables`, of this shape, must outlive the
    // program.
    MicroProgram(const TransformerLayers& layers, const TransformerShape& shape, const TransformerTables& tables,
        const MicroProgramOptions& options);

    // Where the ops find the weights and, in `constants`, these and the tables; parked: parking.host_bytes() of
    // Memory::reserve_host. Before the first run.
    void connect(const PlacedUnits& weights, const Constants& constants, std::byte* parked);

    struct Sample {
        Sample(Program& program, const TransformerLayers& layers, const TransformerShape& shape,
            const TransformerTables& tables, const NetworkOptions& options, bool huber);
        TransformerNetwork network;
        ConditioningInputs conditioning;
        Sym latents, noise;   // (I, C) packed
        Sym prompt;           // (T, joint_dim)
        Sym sigma, weight;    // (1, 1): noise level, the loss's weight; of Huber's loss (1, 2), with its c
        Sym prediction, loss; // (I, C), (1, 1): readable after the run
    };

    int64_t together() const { return static_cast<int64_t>(samples.size()); }

    TransformerShape shape;
    Program program;
    UnitStream stream;
    Parking parking;
    std::deque<Sample> samples;
};

} // namespace atelier
