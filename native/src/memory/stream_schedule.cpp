#include "memory/stream_schedule.h"
#include <algorithm>
#include <map>

namespace atelier {

std::vector<std::vector<size_t>> schedule_fetches(
    std::span<const size_t> uses, const std::function<int(size_t)>& slot_of) {
    struct Slot {
        size_t unit = 0;
        size_t free = 0; // first point at which what it holds is no longer needed
    };
    std::map<int, Slot> slots;
    std::vector<std::vector<size_t>> points(uses.size() + 1);
    size_t issued = 0; // of the fetch before: they arrive in the order in which they are issued
    for (size_t k = 0; k < uses.size(); ++k) {
        const int index = slot_of(uses[k]);
        if (index < 0) continue;
        const auto [at, fresh] = slots.try_emplace(index);
        Slot& slot = at->second;
        if (fresh || slot.unit != uses[k]) {
            issued = std::max(issued, slot.free);
            points[issued].push_back(uses[k]);
            slot.unit = uses[k];
        }
        slot.free = k + 1;
    }
    return points;
}

} // namespace atelier
