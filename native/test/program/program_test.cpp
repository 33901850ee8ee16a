#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "ops/cpu/cpu_ops.h"
#include "program/placement.h"
#include "program/program.h"
#include <doctest/doctest.h>
#include <random>

using namespace atelier;

namespace {

bool overlap(const Interval& a, uint64_t a_offset, const Interval& b, uint64_t b_offset) {
    const bool in_time = a.first <= b.last && b.first <= a.last;
    const bool in_space = a_offset < b_offset + b.bytes && b_offset < a_offset + a.bytes;
    return in_time && in_space;
}

} // namespace

TEST_CASE("placement - buffers alive at the same time never share a byte, and the total stays near the lower bound") {
    std::mt19937 random(7);
    for (int round = 0; round < 30; ++round) {
        std::vector<Interval> intervals;
        for (int i = 0; i < 120; ++i) {
            const int64_t first = random() % 200, length = random() % 30;
            intervals.push_back({64 * (1 + random() % 100), first, first + length});
        }
        const Placement placed = place(intervals);
        for (size_t i = 0; i < intervals.size(); ++i)
            for (size_t j = i + 1; j < intervals.size(); ++j) {
                REQUIRE_FALSE(overlap(intervals[i], placed.offsets[i], intervals[j], placed.offsets[j]));
            }
        CHECK(placed.total_bytes >= placed.lower_bound_bytes);
        CHECK(placed.total_bytes <= placed.lower_bound_bytes * 13 / 10);
    }
}

TEST_CASE("placement - a stack of saved tensors costs exactly its lower bound") {
    std::vector<Interval> intervals;
    for (int64_t i = 0; i < 20; ++i) intervals.push_back({4096, i, 39 - i});
    const Placement placed = place(intervals);
    CHECK(placed.total_bytes == 20 * 4096);
    CHECK(placed.lower_bound_bytes == 20 * 4096);
}

TEST_CASE("program - temporaries whose lives do not meet share memory, persistent buffers keep theirs") {
    Program p;
    const Sym in = p.persistent(4, 16, "in");
    const Sym a = p.temp(4, 16, "a"), b = p.temp(4, 16, "b"), c = p.temp(4, 16, "c");
    const auto nothing = [](Ops&, const Program::Resolver&) {};
    p.emit("a", {in, a}, nothing);
    p.emit("b", {a, b}, nothing);
    p.emit("c", {b, c}, nothing);
    const ProgramPlan& plan = p.plan();
    CHECK(plan.arena_bytes == 3 * 256); // in, and two of a, b, c at a time
    CHECK(plan.offsets[a.buffer] == plan.offsets[c.buffer]);
    CHECK_THROWS_AS(p.emit("late", {a}, nothing), Error);
}

TEST_CASE("program - slices resolve to rows and columns of their buffer") {
    Program p;
    const Sym joint = p.persistent(6, 10, "joint");
    p.plan();
    std::vector<float> memory(60);
    const auto resolve = p.resolver(reinterpret_cast<std::byte*>(memory.data()));
    const View tail = resolve(joint.row_range(2, 4).col_range(3, 5));
    CHECK(tail.f32() == memory.data() + 23);
    CHECK(tail.rows == 4);
    CHECK(tail.cols == 5);
    CHECK(tail.ld == 10);
    CHECK_FALSE(static_cast<bool>(resolve(Sym{})));
    CHECK_THROWS_AS((void)joint.row_range(4, 3), Error);
}

TEST_CASE("program - an op that uses a matrix outside its life is refused, naming both") {
    Program p;
    const Sym a = p.temp(4, 16, "early"), b = p.temp(4, 16, "late");
    const auto uses = [](const Sym& used) { return [=](Ops&, const Program::Resolver& at) { (void)at(used); }; };
    p.emit("first", {a}, uses(a));
    p.emit("forgetful", {b}, uses(a)); // by now its memory is that of "late"
    std::vector<std::byte> arena(p.plan().arena_bytes);
    const auto ops = make_cpu_ops({1, "portable"});
    CHECK_THROWS_WITH_AS(p.run(*ops, arena.data()), doctest::Contains("(forgetful) uses the matrix \"early\""), Error);
}
