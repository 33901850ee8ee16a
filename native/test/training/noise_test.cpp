// Noise levels and losses against the formulas of kohya's scripts, diffusers and ai-toolkit (goldens/draws.json).
#include "engine/train_plan.h"
#include "ops/cpu/cpu_ops.h"
#include "training/schedules.h"
#include "training/support.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

nlohmann::json draws() {
    std::ifstream in(ATELIER_GOLDENS "/draws.json");
    return nlohmann::json::parse(in);
}

void set_member(const nlohmann::json& value, std::vector<std::string>&) { FAIL("no list is set here: ", value); }
template <class T>
void set_member(const nlohmann::json& value, T& member) {
    if constexpr (std::is_enum_v<T>) member = value_named<T>(value.get<std::string>()).value();
    else member = value.get<T>();
}
template <class T>
void set_member(const nlohmann::json& value, std::optional<T>& member) {
    member = value.get<T>();
}

TrainOptions options_of(const nlohmann::json& values) {
    TrainOptions o;
    size_t known = 0;
    for_each_option(o, [&](const OptionInfo& info, auto& member) {
        if (!values.contains(info.name)) return;
        ++known;
        set_member(values[info.name], member);
    });
    REQUIRE(known == values.size());
    check_train_options(o);
    return o;
}

} // namespace

TEST_CASE("noise levels: the goldens of every draw, shift and window") {
    const nlohmann::json all = draws();
    const auto uniforms = all["uniform"].get<std::vector<double>>(), normals = all["normal"].get<std::vector<double>>();
    const std::vector<float> sigmas = training_sigmas(1000, true, 1);
    int seen = 0;
    for (const auto& entry : all["cases"]) {
        const std::string name = entry["name"].get<std::string>();
        const TrainOptions o = options_of(entry["options"]);
        const auto wanted = entry["sigma"].get<std::vector<double>>();
        std::vector<double> got;
        for (size_t i = 0; i < uniforms.size(); ++i) {
            const NoiseLevel level = noise_level(o, sigmas, entry["image_tokens"], {uniforms[i], normals[i]});
            got.push_back(static_cast<double>(level.sigma));
            CHECK_MESSAGE(level.index >= 0, name);
            CHECK_MESSAGE(level.index < 1000, name);
            CHECK_MESSAGE(std::abs(1 - static_cast<double>(level.index) / 1000 - got.back()) < 1.0001e-3, name);
        }
        CHECK(report(name, got, wanted) < 1e-6);
        ++seen;
    }
    CHECK(seen >= 20);
}

TEST_CASE("noise levels: without a shift or a window the scheduler's sigmas are taken bit for bit") {
    const std::vector<float> sigmas = training_sigmas(1000, false, 3);
    for (const Weighting weighting : {Weighting::none, Weighting::logit_normal, Weighting::mode, Weighting::bell}) {
        TrainOptions o;
        o.weighting = weighting;
        for (uint64_t i = 0; i < 200; ++i) {
            const NoiseLevel level = draw_noise_level(o, sigmas, 64, {3, RandomUse::timestep, i, 5});
            CHECK(level.sigma == sigmas[static_cast<size_t>(level.index)]);
        }
    }
}

TEST_CASE("draw_noise_level: the density each weighting asks for") {
    const auto mean_and_spread = [](Weighting weighting) {
        const std::vector<float> sigmas = training_sigmas(1000, true, 1);
        TrainOptions o;
        o.weighting = weighting;
        const int n = 20000;
        double sum = 0, squares = 0;
        for (int i = 0; i < n; ++i) {
            const double t = static_cast<double>(
                draw_noise_level(o, sigmas, 64, PhiloxStream(7, RandomUse::timestep, static_cast<uint64_t>(i), 3))
                    .index);
            REQUIRE(t >= 0);
            REQUIRE(t < 1000);
            sum += t;
            squares += t * t;
        }
        const double mean = sum / n;
        return std::pair{mean, std::sqrt(squares / n - mean * mean)};
    };
    // Uniform on 0..999: mean 499.5, spread 288.7. Sigmoid of N(0, 1): mean 0.5, spread 0.2083 (numerical integral).
    // 20,000 draws give 0.7 %.
    for (const Weighting uniform : {Weighting::none, Weighting::sigma_sqrt, Weighting::cosmap}) {
        CHECK(mean_and_spread(uniform).first == doctest::Approx(499.5).epsilon(0.02));
        CHECK(mean_and_spread(uniform).second == doctest::Approx(288.7).epsilon(0.02));
    }
    CHECK(mean_and_spread(Weighting::logit_normal).first == doctest::Approx(499.5).epsilon(0.02));
    CHECK(mean_and_spread(Weighting::logit_normal).second == doctest::Approx(208.3).epsilon(0.02));
    // mode: E[1 - u - s(cos²(πu/2) - 1 + u)] = 1/2 for every s
    CHECK(mean_and_spread(Weighting::mode).first == doctest::Approx(499.5).epsilon(0.02));
    CHECK(mean_and_spread(Weighting::mode).second < 280);
}

TEST_CASE("bell: ai-toolkit's weights, of mean 1, and none at the ends") {
    const nlohmann::json bell = draws()["bell"];
    const auto sigmas = bell["sigma"].get<std::vector<double>>();
    std::vector<double> got;
    for (const double sigma : sigmas) got.push_back(loss_weight(Weighting::bell, sigma));
    CHECK(report("bell", got, bell["weight"].get<std::vector<double>>()) < 1e-6);
    CHECK(loss_weight(Weighting::bell, 0) == doctest::Approx(0));
    double sum = 0;
    for (const float sigma : training_sigmas(1000, true, 1)) sum += loss_weight(Weighting::bell, double(sigma));
    CHECK(sum / 1000 == doctest::Approx(1).epsilon(1e-6));
}

TEST_CASE("huber: kohya's loss and its gradient, of either kind and schedule") {
    const nlohmann::json all = draws();
    std::vector<float> errors, nothing;
    for (const double error : all["errors"].get<std::vector<double>>()) errors.push_back(static_cast<float>(error));
    const auto n = static_cast<int64_t>(errors.size());
    nothing.resize(errors.size());
    const auto ops = make_cpu_ops({1, "portable"});
    for (const auto& entry : all["huber"]) {
        TrainOptions o;
        o.loss_type = value_named<LossType>(entry["loss_type"].get<std::string>()).value();
        o.huber_schedule = value_named<HuberSchedule>(entry["huber_schedule"].get<std::string>()).value();
        o.huber_c = entry["huber_c"];
        const double sigma = entry["sigma"];
        float weighing[] = {static_cast<float>(loss_scale(o, sigma)), static_cast<float>(huber_c_at(o, sigma))},
              loss = 0;
        std::vector<float> slope(errors.size());
        const auto row = [&](float* data, int64_t cols) { return View{data, 1, cols, cols, DType::f32}; };
        ops->huber_loss(row(errors.data(), n), row(nothing.data(), n), row(nothing.data(), n), row(weighing, 2), 1,
            row(&loss, 1), row(slope.data(), n));
        CHECK(static_cast<double>(loss) == doctest::Approx(entry["loss"].get<double>()).epsilon(1e-6));
        CHECK(report("slope", slope, entry["slope"].get<std::vector<float>>()) < 1e-6);
    }
}

TEST_CASE("noise options that contradict each other are refused, by name and with what would do") {
    const auto refused = [](const char* text, auto&& change) {
        TrainOptions o;
        change(o);
        CHECK_THROWS_WITH_AS(check_train_options(o), doctest::Contains(text), Error);
    };
    using enum TimestepSampling;
    refused("min_sigma 0.5 is not below max_sigma 0.5", [](TrainOptions& o) { o.min_sigma = o.max_sigma = 0.5; });
    refused("flow_shift 3: resolution_shift is on", [](TrainOptions& o) {
        o.flow_shift = 3;
        o.resolution_shift = true;
    });
    for (const Weighting weighting : {Weighting::logit_normal, Weighting::mode})
        refused("draws among the scheduler's sigmas", [&](TrainOptions& o) {
            o.weighting = weighting;
            o.timestep_sampling = sigmoid;
        });
    refused("give a min_sigma", [](TrainOptions& o) {
        o.weighting = Weighting::sigma_sqrt;
        o.timestep_sampling = uniform;
    });
    TrainOptions bounded;
    bounded.weighting = Weighting::sigma_sqrt;
    bounded.timestep_sampling = uniform;
    bounded.min_sigma = 0.001;
    CHECK_NOTHROW(check_train_options(bounded));
}
