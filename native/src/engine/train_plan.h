// What Trainer::plan and plan_on_card share: checked options, and a plan put into the public header's words.
#pragma once
#include "atelier/plan.h"
#include "models/transformer.h"
#include "planning/memory_planner.h"

namespace atelier {

// invalid_argument for an option that cannot be, naming it; targets and what belongs to the schedule are checked where
// they are used.
void check_train_options(const TrainOptions& options);

// The shapes, each once. invalid_argument for none or one that cannot be computed; unsupported for a transformer that
// is not text to image.
std::vector<TransformerShape> training_shapes(const TransformerDims& dims, const std::vector<TrainShape>& shapes);

// What training holds beside arena, weights and adapter: rotary tables, and one sample's latents and noise.
uint64_t training_input_bytes(const TransformerDims& dims, const std::vector<TransformerShape>& shapes);

// The share of the memory this process may have that fetched weights and parked tensors may take, page-locked.
uint64_t spare_host_bytes();

MemoryPlan::Choice summary(const MemoryChoice& choice, int64_t together);
MemoryPlan::Time summary(const StepTime& time);

} // namespace atelier
