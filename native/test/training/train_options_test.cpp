// The options that proto/ declares: their names, their limits, and what a training state of 0.1.0 says of them.
#include "engine/train_plan.h"
#include "engine/training_state.h"
#include <cmath>
#include <doctest/doctest.h>
#include <set>

using namespace atelier;

namespace {

std::vector<std::string> option_names() {
    std::vector<std::string> names;
    TrainOptions options;
    for_each_option(options, [&](const OptionInfo& info, auto&) { names.push_back(info.name); });
    return names;
}

// Sets a number and leaves what is none alone.
void set_number(auto& to, double value) {
    using T = std::remove_reference_t<decltype(to)>;
    if constexpr (std::is_arithmetic_v<T> && !std::is_same_v<T, bool>) to = static_cast<T>(value);
    if constexpr (std::is_same_v<T, std::optional<float>>) to = static_cast<float>(value);
}

} // namespace

TEST_CASE("identity: a state of 0.1.0 says of these options what they say today") {
    TrainOptions o;
    o.rank = 3;
    o.alpha = 2.5f;
    o.optimizer = OptimizerKind::adamw;
    o.learning_rate = 1e-3;
    o.lr_schedule = LrScheduleKind::cosine;
    o.warmup_steps = 2;
    o.total_steps = 8;
    o.accumulation = 2;
    o.weighting = Weighting::logit_normal;
    o.logit_mean = 0.1f;
    o.logit_std = 0.9f;
    o.seed = 7;
    o.guidance = 3.3f;
    o.weight_decay = 0.02;
    o.max_grad_norm = 0.3f;
    CHECK(
        training_identity(o, {"proj_out", "x_embedder"}) ==
        "rank=3 alpha=2.5 optimizer=adamw lr=0.001 betas=0.90000000000000002,0.999 eps=1e-08 weight_decay=0.02 "
        "max_grad_norm=0.30000001192092896 accumulation=2 schedule=cosine,2,8,1,1 "
        "weighting=logit_normal,0.10000000149011612,0.89999997615814209,1.2899999618530273 guidance=3.2999999523162842 "
        "seed=7 modules=proj_out x_embedder ");
    TrainOptions mode;
    mode.rank = 16;
    mode.alpha = 7.7f;
    mode.optimizer = OptimizerKind::adamw8bit_all;
    mode.learning_rate = 2e-3;
    mode.lr_schedule = LrScheduleKind::polynomial;
    mode.total_steps = 8;
    mode.weighting = Weighting::mode;
    mode.mode_scale = 0.77f;
    mode.seed = 12345678901234;
    CHECK(training_identity(mode, {}) ==
          "rank=16 alpha=7.6999998092651367 optimizer=adamw8bit_all lr=0.002 betas=0.90000000000000002,0.999 eps=1e-08 "
          "weight_decay=0.0001 max_grad_norm=1 accumulation=1 schedule=polynomial,0,8,1,1 "
          "weighting=mode,0,1,0.76999998092651367 guidance=1 seed=12345678901234 modules=");
    TrainOptions restarts;
    restarts.rank = 8;
    restarts.learning_rate = 2e-3;
    restarts.lr_schedule = LrScheduleKind::cosine_with_restarts;
    restarts.lr_num_cycles = 3;
    restarts.adam_beta1 = 0.8;
    restarts.adam_beta2 = 0.95;
    restarts.adam_epsilon = 1e-6;
    restarts.total_steps = 8;
    restarts.weighting = Weighting::sigma_sqrt;
    CHECK(
        training_identity(restarts, {}) ==
        "rank=8 alpha=8 optimizer=adamw8bit lr=0.002 betas=0.80000000000000004,0.94999999999999996 "
        "eps=9.9999999999999995e-07 weight_decay=0.0001 max_grad_norm=1 accumulation=1 "
        "schedule=cosine_with_restarts,0,8,3,1 weighting=sigma_sqrt,0,1,1.2899999618530273 guidance=1 seed=0 modules=");
}

TEST_CASE("identity: another value of any number is another run") {
    const std::string usual = training_identity({}, {});
    for (const std::string& name : option_names()) {
        TrainOptions other;
        bool changed = false;
        for_each_option(other, [&](const OptionInfo& info, auto& value) {
            if (info.name != name || !std::isfinite(info.min)) return;
            set_number(value, 0.5 + info.min + 2); // whole for whole numbers, and no default
            changed = true;
        });
        if (changed) CHECK_MESSAGE(training_identity(other, {}) != usual, name);
    }
}

TEST_CASE("limits: each number is refused beyond them, by its name, and taken within") {
    CHECK_NOTHROW(check_train_options({}));
    std::set<std::string> numbers;
    const auto refused = [&](const std::string& name, double value) {
        TrainOptions o;
        for_each_option(o, [&](const OptionInfo& info, auto& to) {
            if (info.name == name) set_number(to, value);
        });
        try {
            check_train_options(o);
        } catch (const Error& e) {
            CHECK(e.code() == ErrorCode::invalid_argument);
            CHECK_MESSAGE(std::string(e.what()).starts_with(name + " "), e.what());
            return true;
        }
        return false;
    };
    TrainOptions o;
    for_each_option(o, [&](const OptionInfo& info, auto&) {
        if (!std::isfinite(info.max)) return;
        numbers.insert(info.name);
        CHECK_MESSAGE(refused(info.name, info.min - 1), info.name);
        CHECK_MESSAGE(refused(info.name, info.max + 1), info.name);
        CHECK_MESSAGE(refused(info.name, info.min) == info.above_min, info.name);
        CHECK_MESSAGE(refused(info.name, info.max) == info.below_max, info.name);
    });
    CHECK(numbers.count("rank"));
    CHECK(numbers.count("alpha"));
    CHECK(numbers.count("adam_beta2"));
    o.alpha = NAN;
    CHECK_THROWS_WITH_AS(check_train_options(o), doctest::Contains("alpha nan"), Error);
    o.alpha.reset();
    o.weighting = static_cast<Weighting>(99);
    CHECK_THROWS_WITH_AS(
        check_train_options(o), doctest::Contains("none, sigma_sqrt, logit_normal, mode, cosmap"), Error);
}

TEST_CASE("names: an enum's name leads back to its value, and another to none") {
    CHECK(value_named<OptimizerKind>("adamw8bit_all") == OptimizerKind::adamw8bit_all);
    CHECK(value_named<BaseQuant>("nf4_double") == BaseQuant::nf4_double);
    CHECK(!value_named<BaseQuant>("nf2"));
    CHECK(name_of(LrScheduleKind::cosine_with_restarts) == std::string("cosine_with_restarts"));
    CHECK(name_of(LrScheduleKind{}) == nullptr);
    TrainOptions o;
    o.rank = 32;
    CHECK(o.alpha_or_default() == 32);
    o.alpha = 4;
    CHECK(o.alpha_or_default() == 4);
}
