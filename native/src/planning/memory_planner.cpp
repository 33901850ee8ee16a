#include "planning/memory_planner.h"
#include "base/error.h"
#include "memory/residence.h"
#include "memory/stream_schedule.h"
#include "planning/widening.h"
#include <algorithm>
#include <functional>
#include <limits>
#include <optional>
#include <set>

namespace atelier {
namespace {

constexpr double kHiddenTransfer =
    0.05; // what a hidden millisecond of transfer is charged, so that none is made for nothing
constexpr int kCorrections = 12;

size_t at(BlockKeep keep) { return static_cast<size_t>(keep); }

class Search {
public:
    explicit Search(PlannerTask task) : task_(std::move(task)) {
        std::vector<BlockKeep> lean(task_.blocks.size(), BlockKeep::input);
        if (!lean.empty()) { // the last block's backward follows its forward at once: its tape is alive then anyhow
            lean.back() = BlockKeep::all;
            task_.blocks.back().kept_bytes = {};
        }
        for (size_t i = 0; i + 1 < lean.size(); ++i)
            if (bytes(i, BlockKeep::attention) > 0) parkable_.push_back(i);
        weights_.push_back({lean, std::vector<bool>(lean.size(), true), true, {}});
        if (task_.host_copy <= 0) return;
        weights_.push_back({lean, std::vector<bool>(lean.size(), true), false, {}});
        // From all blocks alike, or from those of one size first: the largest fetched block sets the slots, the
        // smallest is the easiest to keep.
        std::set<uint64_t> firsts = {0};
        for (const BlockCost& block : task_.blocks) firsts.insert(block.weight_bytes);
        for (const uint64_t size : firsts) {
            std::vector<size_t> first, rest;
            for (size_t i = 0; i < task_.blocks.size(); ++i)
                (task_.blocks[i].weight_bytes == size ? first : rest).push_back(i);
            for (size_t fetched = 1; fetched <= task_.blocks.size(); ++fetched) {
                std::vector<bool> resident =
                    fetching(fetched - std::min(fetched, first.size()), rest, task_.blocks.size());
                const std::vector<bool> among = fetching(std::min(fetched, first.size()), first, task_.blocks.size());
                std::transform(resident.begin(), resident.end(), among.begin(), resident.begin(), std::logical_and<>());
                for (const bool modulation : {true, false}) weights_.push_back({lean, resident, modulation, {}});
            }
        }
    }

    PlannedMemory run() {
        MemoryChoice rich = weights_.front();
        rich.keep.assign(rich.keep.size(), BlockKeep::all);
        const ProgramBytes lean = task_.program_bytes(weights_.front());
        uint64_t smallest = ~0ull;
        for (const MemoryChoice& c : weights_)
            smallest = std::min(smallest, task_.fixed_bytes + device_weight_bytes(task_, c) + lean.arena);
        require(smallest <= task_.budget_bytes, ErrorCode::resource_exhausted, "a budget of ", task_.budget_bytes,
            " bytes is too small: the least that this run can be planned into is ", smallest,
            " bytes; raise the budget, or choose smaller pictures, a lower rank or more compact weights");

        // The arena is what the blocks keep there and a rest, the working set, which depends a little on the choice and
        // on what is on its way to the host and back: begin with the smallest it can be and raise it by what the exact
        // plan of each choice says, until a choice fits.
        const int64_t least = std::min(static_cast<int64_t>(lean.arena) - kept(weights_.front()),
            static_cast<int64_t>(task_.program_bytes(rich).arena) - kept(rich));
        rest_ = {least, least};
        std::optional<PlannedMemory> best;
        const auto offer = [&](const PlannedMemory& planned) {
            const bool fits =
                planned.total_bytes <= task_.budget_bytes && planned.parked_bytes <= host_room(planned.choice);
            if (fits && (!best || charge(planned.time) < charge(best->time))) best = planned;
            return fits;
        };
        for (int i = 0; i < kCorrections; ++i) {
            const std::optional<MemoryChoice> choice = fastest();
            if (!choice) break;
            const PlannedMemory planned = exactly(*choice, task_.program_bytes(*choice));
            if (offer(planned)) break;
            rest_[parks(*choice)] = static_cast<int64_t>(planned.arena_bytes) - kept(*choice);
            host_rest_ = static_cast<int64_t>(planned.parked_bytes) - parked(*choice);
        }
        // A raised estimate can have passed over a way to place the weights that fits with the least kept, whose arena
        // is known.
        for (const MemoryChoice& c : weights_) offer(exactly(c, lean));
        return *best;
    }

private:
    int64_t bytes(size_t block, BlockKeep keep) const {
        return static_cast<int64_t>(task_.blocks[block].kept_bytes[at(keep)]);
    }
    int64_t sum(const MemoryChoice& c, bool parked) const { // of what the blocks keep there
        int64_t sum = 0;
        for (size_t i = 0; i < c.keep.size(); ++i)
            if (c.parks(i) == parked) sum += bytes(i, c.keep[i]);
        return sum;
    }
    int64_t kept(const MemoryChoice& c) const { return sum(c, false); }
    int64_t parked(const MemoryChoice& c) const { return sum(c, true); }
    static bool parks(const MemoryChoice& c) { return std::count(c.parked.begin(), c.parked.end(), true) > 0; }

    PlannedMemory exactly(const MemoryChoice& choice, const ProgramBytes& program) const {
        const uint64_t weights = device_weight_bytes(task_, choice);
        return {choice, program.arena, weights, task_.fixed_bytes + weights + program.arena, program.parked,
            step_time(task_, choice)};
    }

    static double charge(const StepTime& t) {
        return t.total_ms() + kHiddenTransfer * (t.forward_transfer_ms + t.backward_transfer_ms + t.park_ms);
    }
    double charge(const MemoryChoice& c) const { return charge(step_time(task_, c)); }

    // What a choice's working set and weights leave of the budget.
    int64_t room(const MemoryChoice& c, bool parking) const {
        return static_cast<int64_t>(task_.budget_bytes) -
               static_cast<int64_t>(task_.fixed_bytes + device_weight_bytes(task_, c)) - rest_[parking];
    }
    // What its fetched weights leave of the host's memory.
    uint64_t host_room(const MemoryChoice& c) const {
        uint64_t fetched = c.modulation_resident ? 0 : task_.modulation_bytes;
        for (size_t i = 0; i < c.resident.size(); ++i) fetched += c.resident[i] ? 0 : task_.blocks[i].weight_bytes;
        return task_.host_bytes - std::min(task_.host_bytes, fetched);
    }

    // Every way to place the weights, each with the keep that the memory it leaves is best spent on, and with the
    // blocks parked that make it faster.
    std::optional<MemoryChoice> fastest() const {
        std::optional<MemoryChoice> best;
        double least = 0;
        const auto offer = [&](std::optional<MemoryChoice> c) {
            const double cost = c ? charge(*c) : std::numeric_limits<double>::infinity();
            if (c && (!best || cost < least)) {
                best = std::move(c);
                least = cost;
            }
            return cost;
        };
        for (const MemoryChoice& way : weights_) {
            if (best && charge(without_again(way)) >= least) continue;
            offer(spent(way, {}));
            if (task_.host_copy <= 0) continue;
            least_of(parkable_.size(), [&](size_t count) {
                return offer(count ? spent(way, spread(count, parkable_, way.resident)) : std::nullopt);
            });
        }
        return best;
    }

    // As if all could be kept: no choice with these weights is faster.
    MemoryChoice without_again(MemoryChoice c) const {
        c.keep.assign(c.keep.size(), BlockKeep::all);
        return c;
    }

    // This way to place the weights, with these blocks parked: they keep as much as pays for its transfers, the others
    // what room there is.
    std::optional<MemoryChoice> spent(MemoryChoice c, const std::vector<size_t>& parked_blocks) const {
        if (!parked_blocks.empty()) c.parked.assign(c.keep.size(), false);
        for (const size_t i : parked_blocks) {
            c.parked[i] = true;
            c.keep[i] = BlockKeep::attention;
        }
        const int64_t left = room(c, !parked_blocks.empty()) - kept(c),
                      host = static_cast<int64_t>(host_room(c)) - host_rest_;
        if (left < 0 || parked(c) > host) return {};
        spend(left, c);
        if (parked_blocks.empty()) return c;
        const auto raised = [&](size_t count) {
            MemoryChoice more = c;
            for (const size_t i : spread(count, parked_blocks, c.resident)) more.keep[i] = BlockKeep::all;
            return more;
        };
        return raised(least_of(parked_blocks.size(), [&](size_t count) {
            const MemoryChoice more = raised(count);
            return parked(more) > host ? std::numeric_limits<double>::infinity() : charge(more);
        }));
    }

    // The count up to `most` with the least cost. Costs fall, then rise, but for a little: some are looked at
    // everywhere, and all about the best.
    template <class F>
    static size_t least_of(size_t most, F&& cost) {
        size_t best = 0;
        double least = std::numeric_limits<double>::infinity();
        const auto look = [&](size_t count) {
            if (count > most) return;
            if (const double here = cost(count); here < least) {
                best = count;
                least = here;
            }
        };
        size_t step = std::max<size_t>(most / 8, 1);
        for (size_t count = 0; count <= most; count += step) look(count);
        while (step > 1) {
            step = (step + 1) / 2;
            const size_t around = best;
            if (around >= step) look(around - step);
            look(around + step);
        }
        return best;
    }

    // `count` of these blocks to transfer more for: those first beside which no weights are fetched, each kind with
    // equal gaps, and half a gap before the first and after the last, so that each transfer has as long as any.
    static std::vector<size_t> spread(
        size_t count, const std::vector<size_t>& among, const std::vector<bool>& resident) {
        std::vector<size_t> free, busy, chosen;
        for (const size_t i : among) (resident[i] ? free : busy).push_back(i);
        const size_t first = std::min(count, free.size());
        for (size_t i = 0; i < first; ++i) chosen.push_back(free[(2 * i + 1) * free.size() / (2 * first)]);
        for (size_t i = 0; i < count - first; ++i)
            chosen.push_back(busy[(2 * i + 1) * busy.size() / (2 * (count - first))]);
        return chosen;
    }

    double saved(size_t block, BlockKeep from, BlockKeep to) const {
        return task_.blocks[block].again_ms[at(from)] - task_.blocks[block].again_ms[at(to)];
    }
    int64_t bytes(size_t block, BlockKeep from, BlockKeep to) const { return bytes(block, to) - bytes(block, from); }

    // Greedy by milliseconds saved a byte. Among equals the later block: backward frees what it kept before it makes
    // earlier tapes again.
    void spend(int64_t room, MemoryChoice& c) const {
        std::vector<BlockKeep>& keep = c.keep;
        for (;;) {
            size_t chosen = keep.size();
            BlockKeep level = BlockKeep::input;
            double best = 0;
            for (size_t i = 0; i < keep.size(); ++i)
                for (const BlockKeep to : {BlockKeep::attention, BlockKeep::all}) {
                    if (c.parks(i) || to <= keep[i] || bytes(i, keep[i], to) > room) continue;
                    const double density =
                        saved(i, keep[i], to) / static_cast<double>(std::max<int64_t>(bytes(i, keep[i], to), 1));
                    if (density <= 0 || density < best) continue;
                    chosen = i;
                    level = to;
                    best = density;
                }
            if (chosen == keep.size()) break;
            room -= bytes(chosen, keep[chosen], level);
            keep[chosen] = level;
        }
        exchange(room, c);
    }

    // What greed leaves: a block that keeps less so that another, which the rest of the room was too small for, can
    // keep more.
    void exchange(int64_t room, MemoryChoice& c) const {
        std::vector<BlockKeep>& keep = c.keep;
        for (size_t down = 0; down < keep.size(); ++down)
            for (size_t up = keep.size(); up-- > 0;)
                for (const BlockKeep less : {BlockKeep::input, BlockKeep::attention})
                    for (const BlockKeep more : {BlockKeep::attention, BlockKeep::all}) {
                        if (up == down || less >= keep[down] || more <= keep[up] || c.parks(up) || c.parks(down))
                            continue;
                        const int64_t cost = bytes(up, keep[up], more) + bytes(down, keep[down], less);
                        if (cost > room || saved(up, keep[up], more) + saved(down, keep[down], less) <= 1e-9) continue;
                        room -= cost;
                        keep[up] = more;
                        keep[down] = less;
                    }
    }

    PlannerTask task_;
    std::vector<MemoryChoice> weights_; // every way to place the weights, with the leanest keep
    std::vector<size_t> parkable_; // blocks that have something to make again
    std::array<int64_t, 2> rest_{}; // working set without and with parked blocks
    int64_t host_rest_ = 0; // what is parked beyond the blocks' kept_bytes
};

} // namespace

double StepTime::total_ms() const {
    return std::max({forward_ms, forward_transfer_ms, park_ms}) + std::max(backward_ms, backward_transfer_ms);
}

uint64_t device_weight_bytes(const PlannerTask& task, const MemoryChoice& choice) {
    uint64_t resident = choice.modulation_resident ? task.modulation_bytes : kStreamSlots * task.modulation_slot_bytes,
             slot = 0;
    for (size_t i = 0; i < task.blocks.size(); ++i) {
        if (choice.resident[i])
            resident += choice.widens(i) ? task.blocks[i].widened_bytes : task.blocks[i].weight_bytes;
        else slot = std::max(slot, task.blocks[i].weight_bytes);
    }
    return resident + kStreamSlots * slot;
}

StepTime step_time(const PlannerTask& task, const MemoryChoice& choice) {
    StepTime time;
    time.forward_ms = task.modulation_ms;
    if (!choice.modulation_resident)
        time.forward_transfer_ms = static_cast<double>(task.modulation_bytes) / task.host_copy;
    for (size_t i = 0; i < task.blocks.size(); ++i) {
        const BlockCost& block = task.blocks[i];
        time.forward_ms += block.forward_ms;
        time.again_ms += block.again_ms[at(choice.keep[i])];
        time.backward_ms += block.backward_ms + block.again_ms[at(choice.keep[i])];
        if (choice.parks(i)) {
            const double transfer = static_cast<double>(block.kept_bytes[at(choice.keep[i])]) / task.host_copy;
            time.park_ms += transfer;
            time.backward_transfer_ms += transfer;
        }
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
