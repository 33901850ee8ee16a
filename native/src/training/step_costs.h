// What the planner needs to know of a micro-step, block by block: bytes of weights and of what is kept, and
// milliseconds by a device's rates.
#pragma once
#include "models/transformer.h"
#include "planning/device_profile.h"
#include "planning/memory_planner.h"

namespace atelier {

struct StepCosts {
    std::vector<BlockCost> blocks; // doubles, then singles
    uint64_t modulation_bytes = 0, modulation_slot_bytes = 0; // of the blocks' modulation linears: all, the largest
    uint64_t other_bytes = 0;      // weights of neither
    double modulation_ms = 0;
};

// `layers`: with the trained branches bound.
StepCosts step_costs(const TransformerLayers& layers, const TransformerShape& shape, const DeviceProfile& profile);

// The choice for programs of all `shapes`, with times of the largest; fixed_bytes: all that is neither weights nor
// arena.
struct StepPlanRequest {
    const TransformerLayers& layers;
    std::vector<TransformerShape> shapes;
    int64_t accumulation = 1;
    uint64_t budget_bytes = 0, fixed_bytes = 0;
    const DeviceProfile& profile;
    uint64_t host_bytes = 0; // PlannerTask's
};
// With `together` samples passing the blocks at once; task.fixed_bytes has the weights of neither blocks nor modulation
// too.
PlannerTask planner_task(const StepPlanRequest& request, int64_t together = 1);

struct StepPlan {
    PlannedMemory memory; // time: of one micro-step, a share of the pass
    int64_t together = 1;
};
// The fastest within the budget. Samples pass the blocks together where fetching would otherwise be what a step waits
// for. resource_exhausted, naming the smallest budget that works.
StepPlan plan_step(const StepPlanRequest& request);

} // namespace atelier
