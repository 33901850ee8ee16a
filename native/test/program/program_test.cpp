#include "ops/cpu/cpu_ops.h"
#include "program/placement.h"
#include "program/program.h"
#include "program/records/blocks.h"
#include "program/records/elements.h"
#include "program/records/ends.h"
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
    p.emit(op::Copy{in, a});
    p.emit(op::Copy{a, b});
    p.emit(op::Copy{b, c});
    const ProgramPlan& plan = p.plan();
    CHECK(plan.arena_bytes == 3 * 256); // in, and two of a, b, c at a time
    CHECK(plan.offsets[a.buffer] == plan.offsets[c.buffer]);
    CHECK_THROWS_AS(p.emit(op::Copy{a, b}), Error);
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

namespace {

struct Everything { // each kind of member that a record may have
    static constexpr const char* name = "everything";
    Read x, none;
    Reads many;
    Weight weight;
    const float* bias = nullptr;
    Write y;
    float scale = 1;
    Table table;
    Update sum;
    View where;
    Activation kind = Activation::none;
    Writes made;
    int64_t count = 0;
    bool flag = false;
    void run(Ops&, const Program::Resolver&) const {}
};

} // namespace

TEST_CASE("record - what an op touches, and how, is read off its members") {
    Program p;
    std::vector<Sym> s;
    for (int i = 0; i < 7; ++i) s.push_back(p.temp(1, 1, "matrix"));
    Everything all;
    all.x = s[0], all.many.all = {s[1], {}, s[2]}, all.y = s[3], all.sum = s[4], all.made.all = {s[5], s[6]};
    CHECK(kMembers<Everything> == 14);
    std::vector<std::pair<BufferId, Access>> touched;
    for_each_matrix(all, [&](const Sym& m, Access access) { touched.emplace_back(m.buffer, access); });
    CHECK(touched == std::vector<std::pair<BufferId, Access>>{{0, Access::read}, {1, Access::read}, {2, Access::read},
                         {3, Access::write}, {4, Access::update}, {5, Access::write}, {6, Access::write}});
    for_each_member(op::Fill{s[0], 2.5f}, [&](const auto& member) { // values, not positions alone
        if constexpr (std::is_same_v<decltype(member), const float&>) CHECK(member == 2.5f);
        else CHECK(member.buffer == 0);
    });
}

namespace {

struct Forgetful { // uses a matrix that is no member
    static constexpr const char* name = "forgetful";
    const Sym* other;
    Write mine;
    void run(Ops&, const Program::Resolver& at) const { (void)at(*other); }
};

} // namespace

TEST_CASE("program - an op that uses a matrix outside its life is refused, naming both") {
    Program p;
    const Sym a = p.temp(4, 16, "early"), b = p.temp(4, 16, "late");
    p.emit(op::Fill{a, 1});
    p.emit(Forgetful{&a, b}); // by now early's memory is late's
    std::vector<std::byte> arena(p.plan().arena_bytes);
    const auto ops = make_cpu_ops({1, "portable"});
    CHECK_THROWS_WITH_AS(p.run(*ops, arena.data()), doctest::Contains("(forgetful) uses the matrix \"early\""), Error);
}

TEST_CASE("program - a matrix that is read before an op wrote it is refused, naming both") {
    const auto plan = [](auto&& emit) {
        Program p;
        const Sym a = p.temp(4, 16, "never written"), b = p.temp(4, 16, "b"), row = p.temp(1, 16, "row");
        emit(p, a, b, row);
        p.plan();
    };
    const auto refused = [&](auto&& emit) {
        CHECK_THROWS_WITH_AS(plan(emit), doctest::Contains("reads the matrix \"never written\""), Error);
    };
    refused([](Program& p, const Sym& a, const Sym& b, const Sym&) { p.emit(op::Copy{a, b}); });
    refused([](Program& p, const Sym& a, const Sym&, const Sym&) { p.emit(op::Activate{a, Activation::silu, a}); });
    refused([](Program& p, const Sym& a, const Sym& b, const Sym& row) { // added to: what was there counts
        p.emit(op::Fill{b, 1});
        p.emit(op::Fill{row, 1});
        p.emit(op::ColumnDot{b, {}, a.row_range(0, 1)});
    });
    plan([](Program& p, const Sym& a, const Sym& b, const Sym&) {
        p.emit(op::Inputs{{{a}}});
        p.emit(op::Copy{a, b});
    });
}

TEST_CASE("program - beside a run only inputs and outputs are given out, since another's memory may be in use twice") {
    Program p;
    const Sym in = p.temp(4, 16, "in"), middle = p.temp(4, 16, "middle"), out = p.temp(4, 16, "out");
    p.emit(op::Inputs{{{in}}});
    p.emit(op::Copy{in, middle});
    p.emit(op::Copy{middle, middle});
    p.emit(op::Copy{middle, out});
    p.emit(op::Outputs{{{out}}});
    std::vector<std::byte> arena(p.plan().arena_bytes);
    const Program::Resolver at = p.resolver(arena.data());
    CHECK(at(in).data != nullptr);
    CHECK(at(out).data != nullptr);
    CHECK(at(middle).data != nullptr); // which the first op that computes writes
    Program q;
    const Sym a = q.temp(4, 16, "a"), inner = q.temp(4, 16, "inner");
    q.emit(op::Fill{a, 1});
    q.emit(op::Copy{a, inner});
    q.emit(op::Copy{inner, a});
    q.emit(op::Copy{a, a});
    std::vector<std::byte> memory(q.plan().arena_bytes);
    CHECK_THROWS_WITH_AS(
        (void)q.resolver(memory.data())(inner), doctest::Contains("\"inner\" is used beside a run"), Error);
}
