// Which units of weights stay on a device, and how, and which are fetched for each use.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace atelier {

enum class Residence : uint8_t {
    fetched,
    resident,
    widened, // resident, with NF4 weights as the bf16 that products take: larger, and no product has to widen them
};

inline std::vector<Residence> residences(const std::vector<bool>& resident) {
    std::vector<Residence> all;
    for (const bool stays : resident) all.push_back(stays ? Residence::resident : Residence::fetched);
    return all;
}

// By unit, all resident but `count` of the candidates: evenly spread, so that each fetch has resident units to run
// beside.
std::vector<bool> fetching(size_t count, const std::vector<size_t>& candidates, size_t units);

// As many units resident as fit into `available` bytes together with the slots that the others pass through. Units [0,
// rare) are used less often than the others: they have slots of their own and are the first to be fetched.
// resource_exhausted, with the bytes that `what` needs at least.
std::vector<bool> resident_within(
    uint64_t available, const std::vector<uint64_t>& unit_bytes, size_t rare, const char* what);

} // namespace atelier
