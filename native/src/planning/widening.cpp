#include "planning/widening.h"
#include <algorithm>

namespace atelier {

PlannedMemory with_widened(const PlannerTask& task, PlannedMemory plan) {
    MemoryChoice& choice = plan.choice;
    const bool rich =
        choice.modulation_resident &&
        std::all_of(choice.keep.begin(), choice.keep.end(), [](BlockKeep keep) { return keep == BlockKeep::all; }) &&
        std::all_of(choice.resident.begin(), choice.resident.end(), [](bool stays) { return stays; });
    if (!rich) return plan;
    const auto saved = [&](size_t i) {
        return task.blocks[i].backward_ms > 0 ? 2 * task.blocks[i].widen_ms : task.blocks[i].widen_ms;
    };
    const auto more = [&](size_t i) { return task.blocks[i].widened_bytes - task.blocks[i].weight_bytes; };
    std::vector<size_t> order;
    for (size_t i = 0; i < task.blocks.size(); ++i)
        if (task.blocks[i].widened_bytes > task.blocks[i].weight_bytes && saved(i) > 0) order.push_back(i);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        return saved(a) * static_cast<double>(more(b)) > saved(b) * static_cast<double>(more(a));
    });
    uint64_t room = task.budget_bytes - plan.total_bytes;
    choice.widened.assign(task.blocks.size(), false);
    for (const size_t i : order) {
        if (more(i) > room) continue;
        choice.widened[i] = true;
        room -= more(i);
    }
    plan.weight_bytes = device_weight_bytes(task, choice);
    plan.total_bytes = task.fixed_bytes + plan.weight_bytes + plan.arena_bytes;
    plan.time = step_time(task, choice);
    return plan;
}

} // namespace atelier
