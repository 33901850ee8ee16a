// Fetches of weights into slots: what a use finds in its slot, and how early and how often it is brought there.
#include "base/error.h"
#include "memory/residence.h"
#include "memory/stream_schedule.h"
#include <algorithm>
#include <doctest/doctest.h>
#include <map>
#include <random>

using namespace atelier;

namespace {

// Uses in order, each followed by the fetches of its point; whether every use finds its unit, when copies are done as
// early as possible, and how many there were.
size_t replay(const std::vector<size_t>& uses, const std::vector<std::vector<size_t>>& points,
    const std::function<int(size_t)>& slot_of) {
    REQUIRE(points.size() == uses.size() + 1);
    std::map<int, size_t> slots;
    size_t fetched = 0;
    const auto fetch = [&](size_t point) {
        for (const size_t unit : points[point]) {
            REQUIRE(slot_of(unit) >= 0);
            slots[slot_of(unit)] = unit;
            ++fetched;
        }
    };
    fetch(0);
    for (size_t k = 0; k < uses.size(); ++k) {
        if (slot_of(uses[k]) >= 0) CHECK(slots.at(slot_of(uses[k])) == uses[k]);
        fetch(k + 1);
    }
    return fetched;
}

std::vector<size_t> there_and_back(size_t units) {
    std::vector<size_t> uses;
    for (size_t i = 0; i < units; ++i) uses.push_back(i);
    for (size_t i = units; i-- > 0;) uses.push_back(i);
    return uses;
}

int alternating(size_t unit) { return static_cast<int>(unit % kStreamSlots); }

} // namespace

TEST_CASE("there and back: what forward ended with is not fetched again, and each fetch has a unit to hide behind") {
    for (const size_t units : {1, 2, 3, 8, 57}) {
        const std::vector<size_t> uses = there_and_back(units);
        const auto points = schedule_fetches(uses, alternating);
        CHECK(replay(uses, points, alternating) == (units < 3 ? units : 2 * units - 2));
        // A unit is on its way while the one before it is used: the fetch for use k is issued after use k - 2 at the
        // latest.
        for (size_t k = 2; k < units; ++k) CHECK(points[k - 1] == std::vector{k});
        for (size_t k = units + 2; k < uses.size(); ++k) CHECK(points[k - 1] == std::vector{uses[k]});
    }
}

TEST_CASE("resident units are not fetched, and those between two others give the fetch more time") {
    const auto slot_of = [](size_t unit) { return unit % 4 == 0 ? static_cast<int>(unit / 4 % 2) : -1; };
    const std::vector<size_t> uses = there_and_back(12); // 0, 4 and 8 are fetched
    const auto points = schedule_fetches(uses, slot_of);
    CHECK(replay(uses, points, slot_of) == 4);
    CHECK(points[0] == std::vector<size_t>{0, 4});
    CHECK(points[1] == std::vector<size_t>{8});
    CHECK(schedule_fetches(uses, [](size_t) { return -1; }) == std::vector<std::vector<size_t>>(uses.size() + 1));
}

TEST_CASE("any order of use, with any slots, finds every unit") {
    std::mt19937 random(1);
    for (int round = 0; round < 200; ++round) {
        std::vector<size_t> uses(20);
        for (size_t& unit : uses) unit = random() % 6;
        std::vector<int> slots(6);
        for (int& slot : slots) slot = static_cast<int>(random() % 4) - 1;
        const auto slot_of = [&](size_t unit) { return slots[unit]; };
        replay(uses, schedule_fetches(uses, slot_of), slot_of);
    }
}

TEST_CASE("as many units resident as fit, the rare ones given up first") {
    const std::vector<uint64_t> units = {10, 10, 100, 100, 100, 100}; // two rare ones
    const auto fetched = [&](uint64_t available) {
        const std::vector<bool> resident = resident_within(available, units, 2, "weights");
        return std::count(resident.begin(), resident.end(), false);
    };
    CHECK(fetched(420) == 0);
    CHECK(fetched(419) ==
          5); // two slots of ten are no less than the two rare ones, two of a hundred no less than two others
    CHECK(fetched(320) == 5);
    CHECK(fetched(319) == 6);
    CHECK(fetched(220) == 6);
    CHECK_THROWS_WITH_AS(fetched(219), doctest::Contains("weights need at least 220 bytes"), Error);
    CHECK(fetching(2, {0, 1, 2, 3}, 5) == std::vector<bool>{true, false, true, false, true});
}
