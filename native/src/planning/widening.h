// The last use of memory: weights that stay on the device are kept as the bf16 that products take, so that no product
// widens them.
#pragma once
#include "planning/memory_planner.h"

namespace atelier {

// The plan with as many blocks widened as the rest of the budget holds: those that save most a byte first, among equals
// the earlier. The plan as it is where a block keeps less than all or is fetched: a byte that keeps a tensor saves some
// ten times as much.
PlannedMemory with_widened(const PlannerTask& task, PlannedMemory plan);

} // namespace atelier
