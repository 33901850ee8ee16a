// The trainer against the numbers of diffusers, peft and bitsandbytes, and its promises: planned memory is used memory,
// a resumed run is the same run, recompute changes no bit.
#include "training/support.h"
#include <atomic>
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr double kGradientTolerance = 1e-4; // float32 against float32 in another order of summation
constexpr double kRunTolerance = 1e-3; // the same, after twenty optimizer steps

std::shared_ptr<Transformer> load(BaseQuant quant, int threads = 2) {
    return Transformer::load(Device::cpu(threads), transformer_dir(), quant);
}

// A whole run of training.safetensors, sample by sample.
struct Run {
    GoldenFile file{"training.safetensors"};
    nlohmann::json config = fixture_json("manifest.json")["config"];
    Golden mean = file["mean"], logvar = file["logvar"], eps = file["eps"], noise = file["noise"],
           order = file["order"], timestep = file["timestep_index"], prompt = file["prompt_embeds"],
           pooled = file["pooled"];
    Trainer::Shape shape{mean.shape[2] / 2, mean.shape[3] / 2, prompt.shape[1]};

    TrainOptions options(const std::string& optimizer) const {
        TrainOptions o = golden_options();
        o.optimizer = value_named<OptimizerKind>(optimizer).value();
        o.learning_rate = 1e-2;
        o.accumulation = config["accum"];
        o.max_grad_norm = config["clip"];
        const nlohmann::json vae = fixture_json("model/vae/config.json");
        o.vae_scaling = vae["scaling_factor"];
        o.vae_shift = vae["shift_factor"];
        const nlohmann::json scheduler = fixture_json("model/scheduler/scheduler_config.json");
        o.dynamic_shifting = scheduler["use_dynamic_shifting"];
        o.shift = scheduler["shift"];
        o.num_train_timesteps = scheduler["num_train_timesteps"];
        return o;
    }

    Trainer::Sample sample(int64_t micro) const {
        const int64_t i = static_cast<int64_t>(order.data[static_cast<size_t>(micro)]);
        Trainer::Sample s;
        s.mean = mean.row(i);
        s.logvar = logvar.row(i);
        s.shape = shape;
        s.prompt_embeds = prompt.row(i);
        s.pooled = pooled.row(i);
        s.sample_id = static_cast<uint64_t>(i);
        s.eps = eps.row(micro);
        s.noise = noise.row(micro);
        s.timestep_index = static_cast<int64_t>(timestep.data[static_cast<size_t>(micro)]);
        return s;
    }

    int64_t micros() const { return order.shape[0]; }
};

// The same, with everything drawn from the seed.
Trainer::Sample drawn_sample(const Run& run, int64_t micro) {
    Trainer::Sample s = run.sample(micro);
    s.eps.reset();
    s.noise.reset();
    s.timestep_index.reset();
    return s;
}

double flat_error(const std::string& what, const Adapter& got, const Adapter& expected) {
    std::vector<float> a, b;
    REQUIRE(got.modules.size() == expected.modules.size());
    for (const auto& [path, m] : expected.modules) {
        const Adapter::Module& g = got.modules.at(path);
        a.insert(a.end(), g.a.begin(), g.a.end());
        a.insert(a.end(), g.b.begin(), g.b.end());
        b.insert(b.end(), m.a.begin(), m.a.end());
        b.insert(b.end(), m.b.begin(), m.b.end());
    }
    return report(what, a, b);
}

} // namespace

TEST_CASE("gradients: every A and B, base in float32 and in NF4") {
    const GoldenFile file("lora_grads.safetensors");
    const Golden latents = file["latents"], noise = file["noise"], prompt = file["prompt_embeds"],
                 pooled = file["pooled"];
    const std::vector<float> zeros(latents.data.size(), 0.0f), surely(latents.data.size(), -30.0f);
    for (const auto& [name, quant] :
        {std::pair{std::string("fp32"), BaseQuant::none}, std::pair{std::string("nf4"), BaseQuant::nf4}}) {
        TrainOptions o = golden_options();
        o.vae_shift = 0; // the golden's latents are the model's own
        o.vae_scaling = 1;
        const Trainer::Shape shape{latents.shape[2] / 2, latents.shape[3] / 2, prompt.shape[1]};
        for (const bool recompute : {true, false}) {
            CAPTURE(recompute);
            o.recompute = recompute;
            Trainer trainer(load(quant), o, {shape});
            testing::set_adapter(trainer, adapter_of(file, "weight.", o));
            Trainer::Sample s;
            s.mean = latents.data;
            s.logvar = surely;
            s.shape = shape;
            s.prompt_embeds = prompt.data;
            s.pooled = pooled.data;
            s.eps = zeros;
            s.noise = noise.data;
            s.timestep_index = 390; // sigma 0.61
            const auto result = trainer.micro_step(s);
            CHECK(result.sigma == doctest::Approx(0.61f));
            CHECK(report(name + " loss", std::vector<float>{static_cast<float>(result.loss)},
                      file[name + "_loss"].data) < kGradientTolerance);
            CHECK(report(name + " prediction", testing::last_prediction(trainer).data, file[name + "_pred"].data) <
                  kGradientTolerance);
            for (const auto& [key, gradient] : testing::gradients(trainer))
                CHECK(report(name + " " + key, gradient.data, file[name + "_grad." + key + ".default.weight"].data) <
                      kGradientTolerance);
        }
    }
}

TEST_CASE("run: losses, gradient norms and end weights of three optimizers") {
    const Run run;
    for (const std::string optimizer : {"adamw8bit", "adamw8bit_all", "adamw"}) {
        const TrainOptions o = run.options(optimizer);
        Trainer trainer(load(BaseQuant::nf4), o, {run.shape});
        testing::set_adapter(trainer, adapter_of(run.file, "start.", o));
        std::vector<float> losses, norms;
        for (int64_t micro = 0; micro < run.micros(); ++micro) {
            losses.push_back(static_cast<float>(trainer.micro_step(run.sample(micro)).loss));
            if ((micro + 1) % o.accumulation == 0)
                norms.push_back(static_cast<float>(trainer.optimizer_step().grad_norm));
        }
        CHECK(report(optimizer + " losses", losses, run.file[optimizer + "_loss"].data) < kRunTolerance);
        CHECK(report(optimizer + " gradient norms", norms, run.file[optimizer + "_grad_norm"].data) < kRunTolerance);
        // With 8-bit states a difference in the last digit of a gradient can tip a code, which moves single elements of
        // small tensors by up to a code's width: the losses, which stay within the tolerance, are the check of this
        // case. (The parity suite measures how far each folder's run lets its weights drift.)
        const Adapter trained = trainer.adapter();
        bool eight_bits = optimizer == "adamw8bit_all";
        for (const auto& [path, m] : trained.modules)
            eight_bits = eight_bits || (optimizer == "adamw8bit" && std::max(m.a.size(), m.b.size()) >= 4096);
        const double tolerance = eight_bits ? 5e-2 : kRunTolerance;
        CHECK(
            flat_error(optimizer + " end weights", trained, adapter_of(run.file, optimizer + "_end.", o)) < tolerance);
    }
}

TEST_CASE("plan: what is planned is what a run uses, and a run over several shapes stays within it") {
    const Run run;
    const auto model = load(BaseQuant::nf4);
    for (const bool recompute : {true, false}) {
        TrainOptions o = run.options("adamw8bit");
        o.recompute = recompute;
        o.accumulation = 2;
        const Trainer::Shape small{run.shape.grid_h / 2, run.shape.grid_w / 2, run.shape.text_tokens};
        const MemoryPlan planned = Trainer::plan(*model, o, {small, run.shape});
        Trainer trainer(model, o, {small, run.shape});
        CHECK(trainer.memory_plan().arena_bytes == planned.arena_bytes);
        CHECK(trainer.memory_plan().total_bytes() == planned.total_bytes());
        Trainer::Sample s = drawn_sample(run, 0);
        std::vector<float> mean(s.mean.begin(), s.mean.begin() + 64 * small.grid_h * small.grid_w),
            logvar(mean.size(), -1.0f);
        s.mean = mean;
        s.logvar = logvar;
        s.shape = small;
        trainer.micro_step(s);
        CHECK(trainer.arena_high_water() < planned.arena_bytes);
        trainer.micro_step(drawn_sample(run, 0));
        CHECK(trainer.arena_high_water() == planned.arena_bytes);
    }
    TrainOptions keep = run.options("adamw8bit"), again = keep;
    keep.recompute = false;
    again.recompute = true;
    CHECK(Trainer::plan(*model, again, {run.shape}).arena_bytes < Trainer::plan(*model, keep, {run.shape}).arena_bytes);
}

TEST_CASE("recompute: the same bits as keeping every activation") {
    const Run run;
    const auto model = load(BaseQuant::nf4);
    TrainOptions o = run.options("adamw8bit");
    TensorMap gradients[2];
    for (const bool recompute : {true, false}) {
        o.recompute = recompute;
        Trainer trainer(model, o, {run.shape});
        testing::set_adapter(trainer, adapter_of(run.file, "start.", o));
        trainer.micro_step(run.sample(0));
        gradients[recompute] = testing::gradients(trainer);
    }
    for (const auto& [name, kept] : gradients[0]) CHECK_MESSAGE(kept.data == gradients[1].at(name).data, name);
}

TEST_CASE("every kind of linear can be trained, and recompute changes no bit of it") {
    const Run run;
    const auto model = load(BaseQuant::none);
    TrainOptions o = run.options("adamw");
    o.targets.clear();
    for (const LinearModule& m : model->modules()) o.targets.push_back(m.path);
    TensorMap gradients[2];
    for (const bool recompute : {true, false}) {
        o.recompute = recompute;
        Trainer trainer(model, o, {run.shape});
        Adapter adapter = trainer.adapter(); // B is zero: give it values, or A has no gradient
        for (auto& [path, m] : adapter.modules)
            for (size_t i = 0; i < m.b.size(); ++i)
                m.b[i] = 0.02f * static_cast<float>(static_cast<int>(i * 7919 % 13) - 6);
        testing::set_adapter(trainer, adapter);
        trainer.micro_step(run.sample(0));
        gradients[recompute] = testing::gradients(trainer);
    }
    CHECK(gradients[0].size() == 2 * model->modules().size());
    for (const auto& [name, kept] : gradients[0]) {
        CHECK_MESSAGE(kept.data == gradients[1].at(name).data, name);
        const bool any = std::any_of(kept.data.begin(), kept.data.end(), [](float v) { return v != 0; });
        CHECK_MESSAGE(any, name, " has no gradient at all");
    }
}

TEST_CASE("state: a run that is stopped and resumed ends with the same bits") {
    const Run run;
    const auto model = load(BaseQuant::nf4);
    const TrainOptions o = run.options("adamw8bit_all");
    const auto train = [&](Trainer& trainer, int64_t from, int64_t to) {
        for (int64_t micro = from; micro < to; ++micro) {
            trainer.micro_step(drawn_sample(run, micro));
            if ((micro + 1) % o.accumulation == 0) trainer.optimizer_step();
        }
    };
    const int64_t half = 2 * o.accumulation, end = 4 * o.accumulation;
    Trainer whole(model, o, {run.shape});
    train(whole, 0, end);
    Trainer first(model, o, {run.shape});
    train(first, 0, half);
    const std::vector<std::byte> state = first.save_state();
    Trainer second(model, o, {run.shape});
    second.load_state(state);
    CHECK(second.step() == first.step());
    train(second, half, end);
    CHECK(flat_error("resumed", second.adapter(), whole.adapter()) == 0);
    CHECK(second.save_state() == whole.save_state());

    TrainOptions other = o;
    other.learning_rate = 2e-2;
    Trainer stranger(model, other, {run.shape});
    CHECK_THROWS_AS(stranger.load_state(state), Error);
    std::vector<std::byte> cut(state.begin(), state.end() - 1);
    CHECK_THROWS_AS(second.load_state(cut), Error);
}

TEST_CASE("state: resumed runs end with the same bits with every draw and loss, each of them another run") {
    const Run run;
    const auto model = load(BaseQuant::none);
    std::vector<std::vector<std::byte>> ends;
    const auto check = [&](const char* what, auto&& change) {
        CAPTURE(what);
        TrainOptions o = run.options("adamw8bit");
        o.accumulation = 2;
        change(o);
        const auto train = [&](Trainer& trainer, int64_t from, int64_t to) {
            for (int64_t micro = from; micro < to; ++micro) {
                trainer.micro_step(drawn_sample(run, micro));
                if ((micro + 1) % o.accumulation == 0) trainer.optimizer_step();
            }
        };
        Trainer whole(model, o, {run.shape}), first(model, o, {run.shape}), second(model, o, {run.shape});
        train(whole, 0, 4);
        train(first, 0, 2);
        second.load_state(first.save_state());
        train(second, 2, 4);
        CHECK(second.save_state() == whole.save_state());
        CHECK(whole.arena_high_water() <= whole.memory_plan().arena_bytes);
        for (const auto& other : ends) CHECK(whole.save_state() != other);
        ends.push_back(whole.save_state());
    };
    using enum TimestepSampling;
    check("as ever", [](TrainOptions&) {});
    check("uniform", [](TrainOptions& o) { o.timestep_sampling = uniform; });
    check("sigmoid", [](TrainOptions& o) { o.timestep_sampling = sigmoid, o.sigmoid_scale = 1.5; });
    check("shift", [](TrainOptions& o) { o.timestep_sampling = sigmoid, o.flow_shift = 3; });
    check("by size", [](TrainOptions& o) { o.timestep_sampling = sigmoid, o.resolution_shift = true; });
    check("content", [](TrainOptions& o) { o.timestep_sampling = content; });
    check("style", [](TrainOptions& o) { o.timestep_sampling = style; });
    check("window", [](TrainOptions& o) { o.min_sigma = 0.2, o.max_sigma = 0.9; });
    check("bell", [](TrainOptions& o) { o.weighting = Weighting::bell; });
    check("huber", [](TrainOptions& o) { o.loss_type = LossType::huber; });
    check("smooth_l1", [](TrainOptions& o) {
        o.loss_type = LossType::smooth_l1;
        o.huber_schedule = HuberSchedule::exponential;
    });
}

TEST_CASE("huber: with a large c it is mean squared error, with a small one the loss of its formula") {
    const Run run;
    const auto model = load(BaseQuant::none);
    const auto loss = [&](LossType type, double c) {
        TrainOptions o = run.options("adamw8bit");
        o.loss_type = type;
        o.huber_c = c;
        Trainer trainer(model, o, {run.shape});
        return trainer.micro_step(drawn_sample(run, 0)).loss;
    };
    const double squares = loss(LossType::mse, 0.1);
    CHECK(loss(LossType::huber, 100) == doctest::Approx(squares).epsilon(1e-3));
    CHECK(loss(LossType::huber, 0.1) < squares);
    CHECK(loss(LossType::smooth_l1, 0.1) == doctest::Approx(10 * loss(LossType::huber, 0.1)).epsilon(1e-6));
    CHECK(Trainer::plan(*model, run.options("adamw8bit"), {run.shape}).arena_bytes == [&] {
        TrainOptions o = run.options("adamw8bit");
        o.loss_type = LossType::huber;
        return Trainer::plan(*model, o, {run.shape}).arena_bytes;
    }());
}

TEST_CASE("threads: the result does not depend on their number") {
    const Run run;
    const TrainOptions o = run.options("adamw8bit");
    std::vector<std::byte> states[2];
    for (int threads : {1, 3}) {
        Trainer trainer(load(BaseQuant::nf4, threads), o, {run.shape});
        for (int64_t micro = 0; micro < 2 * o.accumulation; ++micro) {
            trainer.micro_step(drawn_sample(run, micro));
            if ((micro + 1) % o.accumulation == 0) trainer.optimizer_step();
        }
        states[threads == 3] = trainer.save_state();
    }
    CHECK(states[0] == states[1]);
}

TEST_CASE("misuse: each wrong moment and option has its own error") {
    const Run run;
    const auto model = load(BaseQuant::nf4);
    TrainOptions good = run.options("adamw8bit");
    good.accumulation = 2;
    Trainer trainer(model, good, {run.shape});
    CHECK_THROWS_WITH_AS(trainer.optimizer_step(), doctest::Contains("no micro-step"), Error);
    CHECK_THROWS_WITH_AS(testing::last_prediction(trainer), doctest::Contains("before a micro-step"), Error);
    trainer.micro_step(drawn_sample(run, 0));
    CHECK_THROWS_WITH_AS(trainer.save_state(), doctest::Contains("between optimizer steps"), Error);
    Trainer::Sample wrong = drawn_sample(run, 0);
    wrong.shape.grid_h += 1;
    CHECK_THROWS_WITH_AS(trainer.micro_step(wrong), doctest::Contains("was not in the plan"), Error);
    wrong = drawn_sample(run, 0);
    wrong.mean = wrong.mean.first(wrong.mean.size() - 1);
    CHECK_THROWS_WITH_AS(trainer.micro_step(wrong), doctest::Contains("mean has"), Error);
    std::vector<float> nan(wrong.logvar.begin(), wrong.logvar.end());
    nan[3] = NAN;
    wrong = drawn_sample(run, 0);
    wrong.mean = nan;
    CHECK_THROWS_WITH_AS(trainer.micro_step(wrong), doctest::Contains("NaN"), Error);
    trainer.micro_step(drawn_sample(run, 1)); // the refused ones have changed nothing
    trainer.optimizer_step();

    std::atomic<bool> cancelled{true};
    EngineProgress stop;
    stop.cancelled = &cancelled;
    const std::vector<std::byte> state = trainer.save_state();
    CHECK_THROWS_WITH_AS(trainer.micro_step(drawn_sample(run, 2), stop), doctest::Contains("cancelled"), Error);
    CHECK_THROWS_WITH_AS(trainer.micro_step(drawn_sample(run, 2)), doctest::Contains("half-way"), Error);
    trainer.load_state(state);
    trainer.micro_step(drawn_sample(run, 2));

    const auto refused = [&](const char* text, auto&& change) {
        TrainOptions o = good;
        change(o);
        CHECK_THROWS_WITH_AS(Trainer::plan(*model, o, {run.shape}), doctest::Contains(text), Error);
    };
    refused("rank 0", [](TrainOptions& o) { o.rank = 0; });
    refused("rank 1025: expected a number of at least 1 and at most 1024", [](TrainOptions& o) { o.rank = 1025; });
    refused("alpha", [](TrainOptions& o) { o.alpha = NAN; });
    refused("names no linear", [](TrainOptions& o) { o.targets = {"to_q", "to_w"}; });
    refused("no module named", [](TrainOptions& o) { o.targets.clear(); });
    refused("there are adamw8bit, adamw, adamw8bit_all",
        [](TrainOptions& o) { o.optimizer = static_cast<OptimizerKind>(9); });
    refused(
        "learning_rate -1: expected a number above 0 and at most 10", [](TrainOptions& o) { o.learning_rate = -1; });
    refused("adam_beta1 1: expected a number of at least 0 and below 1", [](TrainOptions& o) { o.adam_beta1 = 1; });
    refused("total_steps 1000001: expected a number of at least 1 and at most 1000000",
        [](TrainOptions& o) { o.total_steps = 1'000'001; });
    refused("lr_schedule", [](TrainOptions& o) { o.lr_schedule = LrScheduleKind{}; });
    refused("weighting", [](TrainOptions& o) { o.weighting = Weighting{}; });
    refused("max_grad_norm", [](TrainOptions& o) { o.max_grad_norm = 0; });
    CHECK_THROWS_WITH_AS(Trainer::plan(*model, good, {}), doctest::Contains("no picture shapes"), Error);
}
