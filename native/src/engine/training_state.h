// The file that resumes a run: a safetensors file of LoRA weights and optimizer states as they lie in memory, and in
// its metadata the counters and what the run was made with.
#pragma once
#include "atelier/plan.h"

namespace atelier {

struct TrainingCounters {
    int64_t step = 0, micro = 0;
};

struct TrainingStateView {
    int64_t step, micro;
    std::string identity;
    std::span<std::byte> weights, optimizer_states;
    std::span<std::byte> average = {}; // of the weights over the steps; empty: the run keeps none
};

// What must be the same for a state to fit: every option that decides where the bytes lie or what the next step
// computes.
std::string training_identity(const TrainOptions& options, const std::vector<std::string>& modules);

std::vector<std::byte> write_training_state(const TrainingStateView& state);

// Copies into state.weights and state.optimizer_states, or throws and leaves them alone: corrupt for a file that is not
// whole, invalid_argument for the state of another run.
TrainingCounters read_training_state(std::span<const std::byte> bytes, const TrainingStateView& state);

} // namespace atelier
