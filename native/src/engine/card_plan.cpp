#include "atelier/transformer.h"
#include "engine/train_plan.h"
#include "models/registry.h"
#include "training/lora_bank.h"
#include "training/schedules.h"
#include "training/step_costs.h"

namespace atelier {

MemoryPlan plan_on_card(const CardRun& run) {
    const DeviceProfile& profile = card_profile(run.card);
    check_train_options(run.options);
    TransformerLayers layers = layers_without_values(run.dims, run.quant);
    const std::vector<TransformerShape> shapes = training_shapes(run.dims, run.shapes);
    MemoryPlan plan;
    plan.state_bytes = LoraBank::bytes_of(layers, run.options) + training_input_bytes(run.dims, shapes);
    plan.workspace_bytes = profile.workspace_bytes;
    plan.context_bytes = profile.context_bytes;
    LoraBank::bind_without_values(layers, run.options);
    const uint64_t fixed = plan.state_bytes + plan.workspace_bytes + plan.context_bytes;
    const StepPlanRequest request{
        layers, shapes, run.options.accumulation, run.options.memory_budget, fixed, profile, run.host_bytes};
    StepPlan step;
    PlannedMemory& planned = step.memory;
    if (run.options.memory_budget) step = plan_step(request);
    else {
        const PlannerTask task = planner_task(request);
        planned.choice = choice_without_budget(task.blocks.size(), run.options.recompute);
        planned.arena_bytes = task.program_bytes(planned.choice).arena;
        planned.weight_bytes = device_weight_bytes(task, planned.choice);
        planned.total_bytes = task.fixed_bytes + planned.weight_bytes + planned.arena_bytes;
        planned.time = step_time(task, planned.choice);
    }
    plan.arena_bytes = planned.arena_bytes;
    plan.weight_bytes =
        planned.total_bytes - planned.arena_bytes - request.fixed_bytes; // with those of neither blocks nor modulation
    plan.parked_bytes = planned.parked_bytes;
    plan.choice = summary(planned.choice, step.together);
    plan.time = summary(planned.time);
    return plan;
}

std::vector<std::string> card_names() {
    std::vector<std::string> names;
    for (const DeviceProfile& profile : card_profiles()) names.push_back(profile.name);
    return names;
}

TransformerDims transformer_dims(const std::string& dir) { return family_of_transformer(dir).read_config(dir); }

} // namespace atelier
