// What a run is asked for, and the memory and the time that it takes.
#pragma once
#include "atelier/error.h"
#include "atelier/types.h"

namespace atelier {

struct TrainOptions : DeclaredTrainOptions {
    // Bytes to plan within (MemoryPlan::total_bytes); what is spare goes into speed, and recompute is not read. 0: a
    // card's free ones; on the CPU none, and recompute decides.
    uint64_t memory_budget = 0;
    // From vae/config.json and scheduler/scheduler_config.json
    float vae_scaling = 0.3611f, vae_shift = 0.1159f;
    bool dynamic_shifting = true;
    float shift = 3.0f;
    int64_t num_train_timesteps = 1000;
};

// A picture's packed tokens and its text's.
struct TrainShape {
    int64_t grid_h = 0, grid_w = 0, text_tokens = 0;
};

struct MemoryPlan {
    uint64_t arena_bytes = 0; // activations and scratch of the largest program; reserved once, never grown
    uint64_t weight_bytes = 0; // frozen weights on the device
    uint64_t state_bytes = 0; // LoRA weights, gradients, optimizer states
    uint64_t workspace_bytes = 0; // the backend's own
    uint64_t context_bytes = 0; // a card's driver
    uint64_t parked_bytes =
        0; // page-locked memory of the host for what is parked there; not of the device and not in the total
    uint64_t total_bytes() const { return arena_bytes + weight_bytes + state_bytes + workspace_bytes + context_bytes; }

    // What training spends it on. Blocks are double and single ones together; all zero in a sampler's plan.
    struct Choice {
        int64_t keep_input = 0, keep_attention = 0, keep_all = 0; // blocks by what they keep for backward
        int64_t parked = 0; // of the last two, those whose kept tensors wait in host memory
        int64_t resident = 0; // blocks whose weights stay on the device; the others' are fetched for each use
        bool modulation_resident = true;
        int64_t widened = 0; // of the resident blocks: NF4 weights are kept as the bf16 that products take
        int64_t together = 0; // samples of one shape that pass the blocks at once in micro_steps; what is fetched is
                              // fetched once for all of them
    } choice;
    // A micro-step of the largest shape by the rates of a card's profile: a model, never measured. All zero on the CPU.
    struct Time {
        double total_ms = 0; // the longest of computing, fetching and parking in each direction
        double forward_ms = 0, backward_ms = 0, again_ms = 0; // computing; again: of backward, what was not kept
        double forward_fetch_ms = 0, backward_fetch_ms = 0; // backward's with what was parked
        double park_ms = 0; // in forward
    } time;
};

// What a run would take on a card that need not be here, and how long a micro-step would: from sizes alone, without
// weights.
struct CardRun {
    TransformerDims dims;
    BaseQuant quant = BaseQuant::nf4;
    TrainOptions options; // memory_budget: the card's; 0: as much as options.recompute asks for
    std::vector<TrainShape> shapes;
    std::string card = "4090";
    uint64_t host_bytes =
        uint64_t{16}
        << 30; // page-locked memory that fetched weights and parked tensors may take: half of a common machine's
};
MemoryPlan plan_on_card(const CardRun&); // resource_exhausted names the smallest budget that works
std::vector<std::string> card_names();

} // namespace atelier
