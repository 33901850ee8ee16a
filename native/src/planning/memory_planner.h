// Chooses, within a budget of bytes, what each block keeps for backward and where, and which blocks' weights stay on
// the device: the choice with the least time by the costs it is given. A pure function that knows no model and calls no
// device.
#pragma once
#include "planning/memory_choice.h"
#include <array>
#include <functional>

namespace atelier {

struct BlockCost {
    uint64_t weight_bytes = 0;
    double forward_ms = 0, backward_ms = 0; // backward: with everything kept
    // By BlockKeep: what backward makes again, and what forward keeps beyond the block's input.
    std::array<double, 3> again_ms{};
    std::array<uint64_t, 3> kept_bytes{};
    // Instead of weight_bytes, with the weights kept widened, and what that saves of each pass over them; 0: they never
    // are.
    uint64_t widened_bytes = 0;
    double widen_ms = 0;
};

// What a step's program reserves: on the device, and of page-locked host memory for what is parked.
struct ProgramBytes {
    uint64_t arena = 0, parked = 0;
};

struct PlannerTask {
    uint64_t budget_bytes = 0;
    uint64_t fixed_bytes = 0; // taken whatever is chosen
    uint64_t modulation_bytes = 0; // weights of the blocks' modulation linears
    uint64_t modulation_slot_bytes = 0; // of the largest one; they have slots of their own
    double modulation_ms = 0; // computing them, each before its block's forward
    std::vector<BlockCost> blocks; // doubles, then singles
    double host_copy = 0; // bytes/ms in each direction; 0: weights cannot be streamed and nothing can be parked
    uint64_t host_bytes =
        0; // page-locked memory that may be taken: by weights that are fetched, and what they leave by what is parked
    // Exactly, with this choice. Slow: asked for the few that are in question.
    std::function<ProgramBytes(const MemoryChoice&)> program_bytes;
};

// One micro-step. Transfers run beside the blocks' compute, and both ways beside each other, so each direction of the
// network takes the longest of them.
struct StepTime {
    double forward_ms = 0, backward_ms = 0; // computing
    double again_ms = 0; // of backward_ms: what was not kept
    double forward_transfer_ms = 0,
           backward_transfer_ms = 0; // to the device: forward's with the modulation's, backward's with what was parked
    double park_ms = 0; // from the device, in forward
    double total_ms() const;
};

struct PlannedMemory {
    MemoryChoice choice;
    uint64_t arena_bytes = 0, weight_bytes = 0; // device_weight_bytes of the choice
    uint64_t total_bytes = 0; // with fixed_bytes
    uint64_t parked_bytes = 0; // of the host
    StepTime time;
};

// resource_exhausted, naming the smallest budget that works.
PlannedMemory plan_memory(const PlannerTask& task);

// What a given choice takes and costs. Weights on the device: resident blocks and modulation, and the ring that the
// others pass through.
uint64_t device_weight_bytes(const PlannerTask& task, const MemoryChoice& choice);
StepTime step_time(const PlannerTask& task, const MemoryChoice& choice);

} // namespace atelier
