// Schedules, densities and weights against diffusers' numbers and their own definitions.
#include "training/schedules.h"
#include "training/support.h"
#include <doctest/doctest.h>
#include <regex>

using namespace atelier;
using namespace atelier::test;

TEST_CASE("lr_schedule: every schedule of the goldens") {
    const nlohmann::json all = fixture_json("schedules.json");
    const std::regex form("lr_(.+)_warmup([0-9]+)_total([0-9]+)_cycles([0-9]+)_power([0-9.]+)");
    int seen = 0;
    for (const auto& [key, values] : all.items()) {
        std::smatch m;
        if (!std::regex_match(key, m, form)) continue;
        ++seen;
        const auto kind = value_named<LrScheduleKind>(m[1].str());
        REQUIRE_MESSAGE(kind, m[1].str());
        const auto got =
            testing::lr_schedule(*kind, std::stoll(m[2]), std::stoll(m[3]), std::stod(m[4]), std::stod(m[5]));
        CHECK(report(key, got, values.get<std::vector<double>>()) < 1e-6);
    }
    CHECK(seen >= 6);
    CHECK_THROWS_AS(testing::lr_schedule(LrScheduleKind{}, 0, 10, 1, 1), Error);
    CHECK_THROWS_AS(testing::lr_schedule(LrScheduleKind::linear, 0, 0, 1, 1), Error);
}

TEST_CASE("loss_weight and inference_sigmas: the goldens") {
    const nlohmann::json all = fixture_json("schedules.json");
    const auto sigmas = all["sigmas_for_weighting"].get<std::vector<double>>();
    for (const auto& [name, weights] : all["loss_weighting"].items()) {
        std::vector<double> got;
        for (double s : sigmas) got.push_back(testing::loss_weight(value_named<Weighting>(name).value(), s));
        CHECK(report("weight " + name, got, weights.get<std::vector<double>>()) < 1e-6);
    }
    const nlohmann::json config = fixture_json("model/scheduler/scheduler_config.json");
    SchedulerSettings scheduler;
    scheduler.dynamic_shifting = config["use_dynamic_shifting"];
    scheduler.shift = config["shift"];
    for (const auto& entry : all["inference"]) {
        const int64_t tokens = entry["height"].get<int64_t>() / 16 * (entry["width"].get<int64_t>() / 16);
        const testing::SigmaSchedule got = testing::inference_sigmas(entry["steps"], tokens, scheduler);
        CHECK(got.mu == doctest::Approx(entry["mu"].get<double>()).epsilon(1e-7)); // shifts are float32 in the request
        CHECK(report("sigmas", got.sigmas, entry["sigmas"].get<std::vector<float>>()) < 1e-6);
    }
}

TEST_CASE("training_sigmas: unshifted for dev, shifted for schnell's config") {
    const auto dev = training_sigmas(1000, true, 3.0f), shifted = training_sigmas(1000, false, 3.0f);
    CHECK(dev.front() == 1.0f);
    CHECK(dev.back() == doctest::Approx(0.001f));
    CHECK(shifted[500] == doctest::Approx(3 * 0.5 / (1 + 2 * 0.5)));
}
