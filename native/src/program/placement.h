// Offsets in one arena for buffers whose lifetimes are known: the dynamic storage allocation problem, solved greedily.
#pragma once
#include <cstdint>
#include <vector>

namespace atelier {

struct Interval {
    uint64_t bytes;
    int64_t first, last; // op indices, both inclusive
};

struct Placement {
    std::vector<uint64_t> offsets; // one per interval
    uint64_t total_bytes = 0;
    uint64_t lower_bound_bytes = 0; // largest sum of bytes alive at one time
};

// Largest first, each at the lowest offset where it fits among the already placed ones that live at the same time
// (best-fit-decreasing; within a few per cent of the lower bound on the programs of this engine). Deterministic.
Placement place(const std::vector<Interval>& intervals);

} // namespace atelier
