#include "planning/memory_planner.h"
#include "base/error.h"
#include "planning/residence.h"
#include "planning/stream_schedule.h"
#include "planning/widening.h"
#include <algorithm>
#include <functional>
#include <optional>
#include <set>

namespace atelier {
namespace {

constexpr double kHiddenTransfer = 0.05; // what a hidden millisecond of transfer is charged, so that none is made for nothing
constexpr int kCorrections = 12;

size_t at(BlockKeep keep) { return static_cast<size_t>(keep); }

class Search {
public:
    explicit Search(PlannerTask task) : task_(std::move(task)) {
        lean_.assign(task_.blocks.size(), BlockKeep::input);
        if (!lean_.empty()) { // the last block's backward follows its forward at once: its tape is alive then anyhow
            lean_.back() = BlockKeep::all;
            task_.blocks.back().kept_bytes = {};
        }
        weights_.push_back({lean_, std::vector<bool>(lean_.size(), true), true});
        if (task_.host_copy <= 0) return;
        weights_.push_back({lean_, std::vector<bool>(lean_.size(), true), false});
        // From all blocks alike, or from those of one size first: the largest fetched block sets the slots, the smallest is the easiest to keep.
        std::set<uint64_t> firsts = {0};
        for (const BlockCost& block : task_.blocks) firsts.insert(block.weight_bytes);
        for (const uint64_t size : firsts) {
            std::vector<size_t> first, rest;
            for (size_t i = 0; i < task_.blocks.size(); ++i) (task_.blocks[i].weight_bytes == size ? first : rest).push_back(i);
            for (size_t fetched = 1; fetched <= task_.blocks.size(); ++fetched) {
                std::vector<bool> resident = fetching(fetched - std::min(fetched, first.size()), rest, task_.blocks.size());
                const std::vector<bool> among = fetching(std::min(fetched, first.size()), first, task_.blocks.size());
                std::transform(resident.begin(), resident.end(), among.begin(), resident.begin(), std::logical_and<>());
                for (const bool modulation : {true, false}) weights_.push_back({lean_, resident, modulation});
            }
        }
    }

    PlannedMemory run() {
        const std::vector<BlockKeep> rich(task_.blocks.size(), BlockKeep::all);
        const uint64_t lean = task_.arena_bytes(lean_);
        uint64_t smallest = ~0ull;
        for (const MemoryChoice& c : weights_) smallest = std::min(smallest, task_.fixed_bytes + device_weight_bytes(task_, c) + lean);
        require(smallest <= task_.budget_bytes, ErrorCode::resource_exhausted, "a budget of ", task_.budget_bytes, " bytes is too small: the least that this run can be planned into is ",
                smallest, " bytes; raise the budget, or choose smaller pictures, a lower rank or more compact weights");

        // The arena is what the blocks keep and a rest, the working set, which depends a little on the choice: begin with the smallest it can
        // be and raise it by what the exact plan of each choice says, until a choice fits.
        rest_ = std::min(static_cast<int64_t>(lean) - kept(lean_), static_cast<int64_t>(task_.arena_bytes(rich)) - kept(rich));
        std::optional<PlannedMemory> best;
        const auto offer = [&](const PlannedMemory& planned) {
            const bool fits = planned.total_bytes <= task_.budget_bytes;
            if (fits && (!best || charge(planned.time) < charge(best->time))) best = planned;
            return fits;
        };
        for (int i = 0; i < kCorrections; ++i) {
            const std::optional<MemoryChoice> choice = fastest();
            if (!choice) break;
            const PlannedMemory planned = exactly(*choice, task_.arena_bytes(choice->keep));
            if (offer(planned)) break;
            rest_ = static_cast<int64_t>(planned.arena_bytes) - kept(choice->keep);
        }
        // A raised estimate can have passed over a way to place the weights that fits with the least kept, whose arena is known.
        for (const MemoryChoice& c : weights_) offer(exactly(c, lean));
        return *best;
    }

private:
    int64_t kept(const std::vector<BlockKeep>& keep) const {
        uint64_t sum = 0;
        for (size_t i = 0; i < keep.size(); ++i) sum += task_.blocks[i].kept_bytes[at(keep[i])];
        return static_cast<int64_t>(sum);
    }

    PlannedMemory exactly(const MemoryChoice& choice, uint64_t arena) const {
        const uint64_t weights = device_weight_bytes(task_, choice);
        return {choice, arena, weights, task_.fixed_bytes + weights + arena, step_time(task_, choice)};
    }

    static double charge(const StepTime& t) { return t.total_ms() + kHiddenTransfer * (t.forward_transfer_ms + t.backward_transfer_ms); }

    // Every way to place the weights, each with the keep that the memory it leaves is best spent on.
    std::optional<MemoryChoice> fastest() const {
        std::optional<MemoryChoice> best;
        double least = 0;
        for (MemoryChoice c : weights_) {
            const int64_t room = static_cast<int64_t>(task_.budget_bytes) - static_cast<int64_t>(task_.fixed_bytes + device_weight_bytes(task_, c)) - rest_ - kept(lean_);
            if (room < 0) continue;
            spend(room, c.keep);
            const double cost = charge(step_time(task_, c));
            if (!best || cost < least) {
                best = std::move(c);
                least = cost;
            }
        }
        return best;
    }

    double saved(size_t block, BlockKeep from, BlockKeep to) const { return task_.blocks[block].again_ms[at(from)] - task_.blocks[block].again_ms[at(to)]; }
    int64_t bytes(size_t block, BlockKeep from, BlockKeep to) const {
        return static_cast<int64_t>(task_.blocks[block].kept_bytes[at(to)]) - static_cast<int64_t>(task_.blocks[block].kept_bytes[at(from)]);
    }

    // Greedy by milliseconds saved a byte. Among equals the later block: backward frees what it kept before it makes earlier tapes again.
    void spend(int64_t room, std::vector<BlockKeep>& keep) const {
        for (;;) {
            size_t chosen = keep.size();
            BlockKeep level = BlockKeep::input;
            double best = 0;
            for (size_t i = 0; i < keep.size(); ++i)
                for (const BlockKeep to : {BlockKeep::attention, BlockKeep::all}) {
                    if (to <= keep[i] || bytes(i, keep[i], to) > room) continue;
                    const double density = saved(i, keep[i], to) / static_cast<double>(std::max<int64_t>(bytes(i, keep[i], to), 1));
                    if (density <= 0 || density < best) continue;
                    chosen = i;
                    level = to;
                    best = density;
                }
            if (chosen == keep.size()) break;
            room -= bytes(chosen, keep[chosen], level);
            keep[chosen] = level;
        }
        exchange(room, keep);
    }

    // What greed leaves: a block that keeps less so that another, which the rest of the room was too small for, can keep more.
    void exchange(int64_t room, std::vector<BlockKeep>& keep) const {
        for (size_t down = 0; down < keep.size(); ++down)
            for (size_t up = keep.size(); up-- > 0;)
                for (const BlockKeep less : {BlockKeep::input, BlockKeep::attention})
                    for (const BlockKeep more : {BlockKeep::attention, BlockKeep::all}) {
                        if (up == down || less >= keep[down] || more <= keep[up]) continue;
                        const int64_t cost = bytes(up, keep[up], more) + bytes(down, keep[down], less);
                        if (cost > room || saved(up, keep[up], more) + saved(down, keep[down], less) <= 1e-9) continue;
                        room -= cost;
                        keep[up] = more;
                        keep[down] = less;
                    }
    }

    PlannerTask task_;
    std::vector<BlockKeep> lean_;
    std::vector<MemoryChoice> weights_; // every way to place the weights, with the leanest keep
    int64_t rest_ = 0;
};

} // namespace

double StepTime::total_ms() const { return std::max(forward_ms, forward_transfer_ms) + std::max(backward_ms, backward_transfer_ms); }

uint64_t device_weight_bytes(const PlannerTask& task, const MemoryChoice& choice) {
    uint64_t resident = choice.modulation_resident ? task.modulation_bytes : kStreamSlots * task.modulation_slot_bytes, slot = 0;
    for (size_t i = 0; i < task.blocks.size(); ++i) {
        if (choice.resident[i])
            resident += choice.widens(i) ? task.blocks[i].widened_bytes : task.blocks[i].weight_bytes;
        else
            slot = std::max(slot, task.blocks[i].weight_bytes);
    }
    return resident + kStreamSlots * slot;
}

StepTime step_time(const PlannerTask& task, const MemoryChoice& choice) {
    StepTime time;
    time.forward_ms = task.modulation_ms;
    if (!choice.modulation_resident) time.forward_transfer_ms = static_cast<double>(task.modulation_bytes) / task.host_copy;
    for (size_t i = 0; i < task.blocks.size(); ++i) {
        const BlockCost& block = task.blocks[i];
        time.forward_ms += block.forward_ms;
        time.again_ms += block.again_ms[at(choice.keep[i])];
        time.backward_ms += block.backward_ms + block.again_ms[at(choice.keep[i])];
        if (choice.widens(i)) {
            time.forward_ms -= block.widen_ms;
            if (block.backward_ms > 0) time.backward_ms -= block.widen_ms;
        }
        if (choice.resident[i]) continue;
        const double transfer = static_cast<double>(block.weight_bytes) / task.host_copy;
        time.forward_transfer_ms += transfer;
        if (block.backward_ms > 0) time.backward_transfer_ms += transfer;
    }
    return time;
}

PlannedMemory plan_memory(const PlannerTask& task) { return with_widened(task, Search(task).run()); }

} // namespace atelier
