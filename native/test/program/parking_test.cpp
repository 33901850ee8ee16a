// Parking by itself: matrices that wait in host memory, on the emulated card, whose copies happen as late as the waits
// allow or as early as they are issued.
#include "base/error.h"
#include "memory/arena.h"
#include "memory/transfer.h"
#include "ops/emulated_cuda.h"
#include "ops/emulator/device_memory.h"
#include "program/parking.h"
#include "program/records/elements.h"
#include "program/records/ends.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr int64_t kRows = 16, kCols = 16;
constexpr uint64_t kBytes = kRows * kCols * sizeof(float);
constexpr float kInput = 0.5f;

struct PerhapsEnd { // half-way, as a run ends that is cancelled
    static constexpr const char* name = "perhaps end here";
    size_t step;
    const size_t* ends_at;
    void run(Ops&, const Program::Resolver&) const { require(step != *ends_at, ErrorCode::internal, "ended half-way"); }
};

// Steps that each make a matrix and overwrite another, then one by one from the last to the first, or in the same
// order, what adds them up and an input.
struct Sums {
    Sums(int steps, const std::vector<bool>& parked, bool same_order) : parking(program) {
        const auto fill = [&](const Sym& s, float value) { program.emit(op::Fill{s, value}); };
        program.emit(op::Inputs{{{first}}});
        fill(sum, 0);
        std::vector<Sym> made;
        std::vector<size_t> items(static_cast<size_t>(steps));
        for (size_t i = 0; i < items.size(); ++i) {
            parking.step();
            made.push_back(program.temp(kRows, kCols, "made"));
            fill(program.temp(kRows, kCols, "scratch"), -1000);
            fill(made.back(), static_cast<float>(i + 1));
            if (parked[i]) items[i] = parking.leave({made.back(), {}});
        }
        for (size_t k = 0; k < items.size(); ++k) {
            const size_t i = same_order ? k : items.size() - 1 - k;
            parking.step();
            program.emit(PerhapsEnd{k, &ends_at});
            if (parked[i]) made[i] = parking.back(items[i]).front();
            fill(program.temp(kRows, kCols, "scratch"), -1000);
            const Sym x = made[i], weight = program.temp(kRows, kCols, "weight"),
                      term = program.temp(kRows, kCols, "term");
            fill(weight, static_cast<float>(k + 1));
            program.emit(op::Mul{x, weight, term});
            program.emit(op::Add{term, sum, sum});
            if (k == 0) program.emit(op::Add{first, sum, sum});
        }
        program.plan();
    }

    float run(Ops& ops, std::byte* arena) const {
        write_view(ops.memory(), program.resolver(arena)(first), std::vector<float>(kRows * kCols, kInput).data());
        program.run(ops, arena);
        return values_of(ops.memory(), program.resolver(arena)(sum)).back();
    }

    Program program;
    Parking parking;
    size_t ends_at = ~size_t{0};
    Sym sum = program.persistent(kRows, kCols, "sum"),
        first = program.temp(kRows, kCols, "input"); // first: what is added first, read before its memory is used again
};

} // namespace

TEST_CASE("parking: what comes back is what left, in every order and pattern, and in less memory") {
    const auto ops = make_emulated_cuda_ops();
    for (const emulated::Copies copies : {emulated::Copies::late, emulated::Copies::early}) {
        emulated::set_copies(copies);
        for (const bool same_order : {false, true})
            for (unsigned pattern = 1; pattern < 128; pattern += 3) {
                std::vector<bool> parked;
                float expected = kInput;
                for (int i = 0; i < 7; ++i) {
                    parked.push_back(pattern >> i & 1);
                    expected += static_cast<float>((i + 1) * (same_order ? i + 1 : 7 - i));
                }
                Sums sums(7, parked, same_order);
                CHECK(sums.parking.host_bytes() ==
                      static_cast<uint64_t>(std::count(parked.begin(), parked.end(), true)) * kBytes);
                const Arena arena(ops->memory(), sums.program.plan().arena_bytes);
                const HostArena host(ops->memory(), sums.parking.host_bytes());
                sums.parking.connect(host.data());
                for (int run = 0; run < 2; ++run) CHECK(sums.run(*ops, arena.data()) == expected);
            }
    }
    emulated::set_copies(emulated::Copies::late);
    CHECK(Sums(30, std::vector(30, true), false).program.plan().arena_bytes <=
          7 * kBytes); // the sum, two that leave or come back, what a step has
    CHECK(Sums(30, std::vector(30, false), false).program.plan().arena_bytes > 30 * kBytes);
}

TEST_CASE("parking: after a run that ended half-way, the next waits for what is still under way") {
    const auto ops = make_emulated_cuda_ops();
    Sums sums(7, std::vector(7, true), false);
    const Arena arena(ops->memory(), sums.program.plan().arena_bytes);
    const HostArena host(ops->memory(), sums.parking.host_bytes());
    sums.parking.connect(host.data());
    const float expected = sums.run(*ops, arena.data());
    for (size_t end = 0; end < 7; ++end) {
        sums.ends_at = end;
        CHECK_THROWS_WITH(sums.run(*ops, arena.data()), doctest::Contains("ended half-way"));
        sums.ends_at = ~size_t{0};
        await_parking(ops->memory());
        CHECK(sums.run(*ops, arena.data()) == expected);
    }
}

TEST_CASE("parking: an item comes back once, and slices do not park") {
    Program program;
    Parking parking(program);
    const Sym matrix = program.temp(4, 4, "matrix");
    CHECK_THROWS_AS(parking.leave({matrix.col_range(0, 2)}), Error);
    const size_t item = parking.leave({matrix});
    CHECK(parking.back(item).front().buffer != matrix.buffer);
    CHECK_THROWS_AS(parking.back(item), Error);
}
