#include "program/placement.h"
#include <algorithm>
#include <numeric>

namespace atelier {
namespace {

uint64_t largest_live_sum(const std::vector<Interval>& intervals) {
    std::vector<std::pair<int64_t, int64_t>> changes; // (time, +bytes or -bytes); a buffer leaves after its last op
    for (const Interval& i : intervals) {
        if (!i.bytes) continue;
        changes.push_back({2 * i.first, static_cast<int64_t>(i.bytes)});
        changes.push_back({2 * i.last + 1, -static_cast<int64_t>(i.bytes)});
    }
    std::sort(changes.begin(), changes.end());
    int64_t now = 0, peak = 0;
    for (const auto& [time, delta] : changes) peak = std::max(peak, now += delta);
    return static_cast<uint64_t>(peak);
}

} // namespace

Placement place(const std::vector<Interval>& intervals) {
    Placement out;
    out.offsets.assign(intervals.size(), 0);
    out.lower_bound_bytes = largest_live_sum(intervals);

    std::vector<size_t> order(intervals.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
        if (intervals[a].bytes != intervals[b].bytes) return intervals[a].bytes > intervals[b].bytes;
        return intervals[a].last - intervals[a].first > intervals[b].last - intervals[b].first;
    });

    std::vector<size_t> placed; // by rising offset
    for (size_t index : order) {
        const Interval& want = intervals[index];
        if (!want.bytes) continue;
        uint64_t cursor = 0, best = ~0ull, best_gap = ~0ull;
        for (size_t other : placed) {
            const Interval& there = intervals[other];
            if (there.last < want.first || want.last < there.first) continue;
            const uint64_t begin = out.offsets[other];
            if (begin > cursor && begin - cursor >= want.bytes && begin - cursor < best_gap) {
                best = cursor;
                best_gap = begin - cursor;
            }
            cursor = std::max(cursor, begin + there.bytes);
        }
        const uint64_t offset = best != ~0ull ? best : cursor;
        out.offsets[index] = offset;
        out.total_bytes = std::max(out.total_bytes, offset + want.bytes);
        placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                          [&](uint64_t value, size_t i) { return value < out.offsets[i]; }),
            index);
    }
    return out;
}

} // namespace atelier
