#include "memory/residence.h"
#include "base/error.h"
#include "memory/stream_schedule.h"
#include <algorithm>
#include <numeric>

namespace atelier {

std::vector<bool> fetching(size_t count, const std::vector<size_t>& candidates, size_t units) {
    std::vector<bool> resident(units, true);
    const size_t n = candidates.size();
    for (size_t i = 0; i < n; ++i) resident[candidates[i]] = (i + 1) * count / n == i * count / n;
    return resident;
}

std::vector<bool> resident_within(
    uint64_t available, const std::vector<uint64_t>& unit_bytes, size_t rare, const char* what) {
    std::vector<size_t> first(rare), rest(unit_bytes.size() - rare);
    std::iota(first.begin(), first.end(), size_t{0});
    std::iota(rest.begin(), rest.end(), rare);
    uint64_t least = ~uint64_t{0};
    for (size_t fetched = 0; fetched <= unit_bytes.size(); ++fetched) {
        std::vector<bool> resident = fetched <= rare ? fetching(fetched, first, unit_bytes.size())
                                                     : fetching(fetched - rare, rest, unit_bytes.size());
        if (fetched > rare) std::fill_n(resident.begin(), rare, false);
        uint64_t sum = 0, slots[2] = {}; // of the rare ones, of the others
        for (size_t i = 0; i < unit_bytes.size(); ++i) {
            uint64_t& slot = slots[i >= rare];
            resident[i] ? sum += unit_bytes[i] : slot = std::max(slot, unit_bytes[i]);
        }
        sum += kStreamSlots * (slots[0] + slots[1]);
        if (sum <= available) return resident;
        least = std::min(least, sum);
    }
    fail(ErrorCode::resource_exhausted, what, " need at least ", least,
        " bytes of the device's memory beside what runs on them, and ", available,
        " are left: end what else uses the device, or choose a smaller size");
}

} // namespace atelier
