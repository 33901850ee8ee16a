// When units of weights that live on the host are fetched into slots of device memory, for a program whose order of use
// is known.
#pragma once
#include <cstddef>
#include <functional>
#include <span>
#include <vector>

namespace atelier {

inline constexpr int kStreamSlots = 2; // one unit is read while the next arrives

// The units to fetch, in order: [0] before the first use, [k + 1] as soon as use k has been issued. Every unit has one
// slot, `slot_of(unit)`, or is resident: -1. A fetch is issued once its slot is free, so that it runs beside what the
// other slots' units compute; what is still in its slot is not fetched again, as where backward begins with the block
// that forward ended with.
std::vector<std::vector<size_t>> schedule_fetches(
    std::span<const size_t> uses, const std::function<int(size_t unit)>& slot_of);

} // namespace atelier
