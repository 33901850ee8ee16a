// Scoring a sample that is not trained on: the loss that training would give, at pairs of noise level and noise that
// are fixed, within the plan, and without a trace in the run.
#include "training/support.h"
#include <atomic>
#include <doctest/doctest.h>
#include <map>
#include <set>

using namespace atelier;
using namespace atelier::test;

namespace {

struct Held {
    GoldenFile file{"training.safetensors"};
    Golden mean = file["mean"], logvar = file["logvar"], eps = file["eps"], noise = file["noise"],
           prompt = file["prompt_embeds"], pooled = file["pooled"];
    Trainer::Shape shape{mean.shape[2] / 2, mean.shape[3] / 2, prompt.shape[1]};
    std::shared_ptr<Transformer> model = Transformer::load(Device::cpu(2), transformer_dir(), BaseQuant::nf4);
    TrainOptions options = golden_options();

    Held() {
        options.learning_rate = 1e-2;
        options.accumulation = 2;
    }

    Trainer::Sample sample(int64_t i) const {
        Trainer::Sample s;
        s.mean = mean.row(i % mean.shape[0]);
        s.logvar = logvar.row(i % mean.shape[0]);
        s.shape = shape;
        s.prompt_embeds = prompt.row(i % mean.shape[0]);
        s.pooled = pooled.row(i % mean.shape[0]);
        s.sample_id = static_cast<uint64_t>(i);
        return s;
    }

    void train(Trainer& trainer, int64_t from, int64_t to) const {
        for (int64_t step = from; step < to; ++step) {
            for (int64_t micro = 0; micro < options.accumulation; ++micro) trainer.micro_step(sample(step));
            trainer.optimizer_step();
        }
    }
};

std::vector<double> losses(const std::vector<Trainer::MicroResult>& results) {
    std::vector<double> all;
    for (const auto& result : results) all.push_back(result.loss);
    return all;
}

} // namespace

TEST_CASE("score: the loss of training, bit for bit, where both are given the same noise and noise level") {
    const Held held;
    Trainer trainer(held.model, held.options, {held.shape});
    held.train(trainer, 0, 2);
    Trainer::Sample s = held.sample(1);
    s.eps = held.eps.row(0);
    s.noise = held.noise.row(0);
    s.timestep_index = 390;
    const auto scored = trainer.score(s, 1).front();
    const auto trained = trainer.micro_step(s);
    CHECK(scored.loss == trained.loss);
    CHECK(scored.sigma == trained.sigma);
    CHECK(scored.timestep_index == 390);
}

TEST_CASE("score: plain, whatever training weights the loss by") {
    const Held held;
    TrainOptions weighted = held.options;
    weighted.weighting = Weighting::sigma_sqrt;
    Trainer one(held.model, held.options, {held.shape}), other(held.model, weighted, {held.shape});
    CHECK(losses(one.score(held.sample(0), 4)) == losses(other.score(held.sample(0), 4)));
}

TEST_CASE("score: fixed pairs, one from each band of timesteps, of every sample its own") {
    const Held held;
    Trainer trainer(held.model, held.options, {held.shape});
    const int64_t pairs = 8, band = held.options.num_train_timesteps / pairs;
    const auto results = trainer.score(held.sample(0), pairs);
    REQUIRE(results.size() == static_cast<size_t>(pairs));
    for (int64_t pair = 0; pair < pairs; ++pair)
        CHECK(results[static_cast<size_t>(pair)].timestep_index / band == pair);
    const std::vector<double> first = losses(results);
    CHECK(std::set<double>(first.begin(), first.end()).size() == first.size());
    CHECK(losses(trainer.score(held.sample(0), pairs)) == first); // no sampling noise
    CHECK(losses(trainer.score(held.sample(1), pairs)) != first);
    held.train(trainer, 0, 3);
    CHECK(losses(trainer.score(held.sample(0), pairs)) != first); // but the adapter's part in it

    Trainer::Sample other = held.sample(0);
    other.sample_id = 77; // the same picture under another id: other pairs
    CHECK(losses(trainer.score(other, pairs)) != losses(trainer.score(held.sample(0), pairs)));
}

TEST_CASE("score: a run that is scored again and again ends with the bits of one that never was") {
    const Held held;
    Trainer quiet(held.model, held.options, {held.shape}), scored(held.model, held.options, {held.shape});
    for (int64_t step = 0; step < 4; ++step) {
        held.train(quiet, step, step + 1);
        scored.score(held.sample(step + 10), 3);
        scored.micro_step(held.sample(step));
        scored.score(held.sample(step + 11), 2); // also between micro-steps
        for (int64_t micro = 1; micro < held.options.accumulation; ++micro) scored.micro_step(held.sample(step));
        scored.optimizer_step();
    }
    CHECK(scored.save_state() == quiet.save_state());

    // And as often as it is resumed it is scored the same.
    Trainer resumed(held.model, held.options, {held.shape});
    resumed.load_state(quiet.save_state());
    CHECK(losses(resumed.score(held.sample(5), 4)) == losses(scored.score(held.sample(5), 4)));
}

TEST_CASE("score: within the plan, and the same within any budget") {
    const Held held;
    for (const bool recompute : {true, false}) {
        TrainOptions options = held.options;
        options.recompute = recompute;
        const MemoryPlan plan = Trainer::plan(*held.model, options, {held.shape});
        Trainer trainer(held.model, options, {held.shape});
        trainer.score(held.sample(0), 2);
        CHECK(trainer.arena_high_water() > 0);
        CHECK(trainer.arena_high_water() < plan.arena_bytes);
        trainer.micro_step(held.sample(0));
        CHECK(trainer.arena_high_water() == plan.arena_bytes);
    }
    const MemoryPlan plenty = Trainer::plan(*held.model, held.options, {held.shape});
    std::vector<double> expected;
    for (const uint64_t budget : {uint64_t{0}, plenty.total_bytes() * 2, plenty.total_bytes()}) {
        TrainOptions options = held.options;
        options.memory_budget = budget;
        Trainer trainer(held.model, options, {held.shape});
        trainer.micro_step(held.sample(0));
        const std::vector<double> got = losses(trainer.score(held.sample(1), 2));
        if (budget == 0) expected = got;
        CHECK(got == expected);
        if (budget) CHECK(trainer.memory_plan().total_bytes() <= budget);
    }
}

TEST_CASE("score: what cannot be scored is refused, and cancelled it leaves the run as it was") {
    const Held held;
    Trainer trainer(held.model, held.options, {held.shape});
    CHECK_THROWS_WITH_AS(trainer.score(held.sample(0), 0), doctest::Contains("expected 1 to 64"), Error);
    CHECK_THROWS_WITH_AS(trainer.score(held.sample(0), 65), doctest::Contains("expected 1 to 64"), Error);
    Trainer::Sample wrong = held.sample(0);
    wrong.shape.grid_h += 1;
    CHECK_THROWS_WITH_AS(trainer.score(wrong, 1), doctest::Contains("was not in the plan"), Error);

    std::atomic<bool> cancelled{true};
    EngineProgress stop;
    stop.cancelled = &cancelled;
    Trainer quiet(held.model, held.options, {held.shape});
    CHECK_THROWS_WITH_AS(trainer.score(held.sample(0), 1, stop), doctest::Contains("cancelled"), Error);
    held.train(trainer, 0, 1);
    held.train(quiet, 0, 1);
    CHECK(trainer.save_state() == quiet.save_state());
}

TEST_CASE("average: torch's recursion over the steps, and a resumed run's is the same") {
    const Held held;
    TrainOptions options = held.options;
    options.ema_decay = 0.9;
    Trainer plain(held.model, held.options, {held.shape}), averaged(held.model, options, {held.shape});
    CHECK_THROWS_WITH_AS(plain.average(), doctest::Contains("ema_decay"), Error);
    CHECK_THROWS_WITH_AS(averaged.average(), doctest::Contains("take a step"), Error);

    // torch.optim.swa_utils.get_ema_multi_avg_fn: a copy first, then ema.lerp_(weights, 1 - decay); in double here.
    std::map<std::string, std::vector<double>> expected;
    std::vector<std::byte> state;
    for (int64_t step = 0; step < 6; ++step) {
        held.train(averaged, step, step + 1);
        for (const auto& [path, m] : averaged.adapter().modules) {
            std::vector<double>& ema = expected[path];
            std::vector<float> weights = m.a;
            weights.insert(weights.end(), m.b.begin(), m.b.end());
            if (step == 0) ema.assign(weights.begin(), weights.end());
            else
                for (size_t i = 0; i < ema.size(); ++i) ema[i] += (1 - 0.9) * (weights[i] - ema[i]);
        }
        if (step == 2) state = averaged.save_state();
    }
    double most = 0, apart = 0;
    const Adapter average = averaged.average(), last = averaged.adapter();
    for (const auto& [path, m] : average.modules) {
        std::vector<float> got = m.a;
        got.insert(got.end(), m.b.begin(), m.b.end());
        for (size_t i = 0; i < got.size(); ++i) most = std::max(most, std::abs(got[i] - expected.at(path)[i]));
        for (size_t i = 0; i < m.b.size(); ++i)
            apart = std::max(apart, static_cast<double>(std::abs(m.b[i] - last.modules.at(path).b[i])));
    }
    MESSAGE("largest difference ", most);
    CHECK(most < 1e-6);
    CHECK(apart > 1e-3);

    Trainer resumed(held.model, options, {held.shape});
    resumed.load_state(state);
    held.train(resumed, 3, 6);
    CHECK(resumed.save_state() == averaged.save_state());

    held.train(plain, 0, 6); // and it changes nothing of what is trained
    const Adapter without = plain.adapter();
    for (const auto& [path, m] : last.modules) CHECK_MESSAGE(m.b == without.modules.at(path).b, path);
    CHECK(Trainer::plan(*held.model, options, {held.shape}).state_bytes >
          Trainer::plan(*held.model, held.options, {held.shape}).state_bytes);
    CHECK_THROWS_AS(plain.load_state(state), Error);
}
