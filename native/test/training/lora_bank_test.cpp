// The trained adapter's start, targets and optimizers.
#include "training/support.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

TEST_CASE("start: A is N(0, 1/rank²), B is zero, the same for the same seed") {
    const auto model = Transformer::load(Device::cpu(1), transformer_dir(), BaseQuant::none);
    TrainOptions o;
    o.rank = 8;
    o.targets = {"ff.net.0.proj", "ff.net.2"};
    const std::vector<Trainer::Shape> shapes = {{2, 2, 4}};
    const Adapter first = Trainer(model, o, shapes).adapter(), again = Trainer(model, o, shapes).adapter();
    o.seed = 1;
    const Adapter other = Trainer(model, o, shapes).adapter();
    double sum = 0, squares = 0, count = 0;
    for (const auto& [path, m] : first.modules) {
        CHECK(m.a == again.modules.at(path).a);
        CHECK(m.a != other.modules.at(path).a);
        for (float v : m.b) CHECK(v == 0);
        for (float v : m.a) {
            sum += v;
            squares += static_cast<double>(v) * v;
            ++count;
        }
    }
    CHECK(std::fabs(sum / count) < 4.0 / 8 / std::sqrt(count));
    CHECK(std::sqrt(squares / count) == doctest::Approx(1.0 / 8).epsilon(0.1));
}

TEST_CASE("targets: a name matches whole paths and their ends, as peft's") {
    const auto model = Transformer::load(Device::cpu(1), transformer_dir(), BaseQuant::none);
    const auto chosen = [&](std::vector<std::string> targets) {
        TrainOptions o;
        o.targets = std::move(targets);
        std::vector<std::string> paths;
        for (const auto& [path, m] : Trainer(model, o, {{2, 2, 4}}).adapter().modules) paths.push_back(path);
        return paths;
    };
    const TransformerDims dims = model->dims();
    CHECK(chosen({"transformer_blocks.0.attn.to_q"}) == std::vector<std::string>{"transformer_blocks.0.attn.to_q"});
    CHECK(chosen({"proj_out"}).size() ==
          static_cast<size_t>(dims.num_single_layers + 1)); // of every single block, and the model's last
    CHECK(chosen({"to_q"}).size() == static_cast<size_t>(dims.num_layers + dims.num_single_layers));
    CHECK(chosen({"to_out.0"}).size() == static_cast<size_t>(dims.num_layers));
}

TEST_CASE("optimizers: twenty updates of each, and the states they leave") {
    const GoldenFile file("optim.safetensors");
    for (const auto& [prefix, kind] :
        {std::pair{std::string("adamw8bit_large"), OptimizerKind::adamw8bit},
            {std::string("adamw8bit_small"), OptimizerKind::adamw8bit}, {std::string("adamw"), OptimizerKind::adamw}}) {
        const Golden start = file[prefix + "_p0"], grads = file[prefix + "_grads"];
        std::vector<float> param = start.data;
        testing::Optimizer optimizer(kind, start.shape[0], 1e-2, 0.9, 0.999, 1e-8, 1e-4);
        double worst = 0;
        for (int64_t step = 0; step < grads.shape[0]; ++step) {
            optimizer.step(param, grads.row(step));
            worst = std::max(worst, relative_error(param, file[prefix + "_p" + std::to_string(step + 1)].data));
        }
        std::printf("  %-48s relative error %.2e\n", (prefix + " updates").c_str(), worst);
        CHECK(worst < 1e-5);
        for (const auto& [name, state] : optimizer.states())
            CHECK(report(prefix + " " + name, state.data, file[prefix + "_state_" + name].data) < 1e-4);
        for (const auto& [name, codes] : optimizer.codes()) {
            const TensorView& expected = file.file().require(prefix + "_state_" + name);
            REQUIRE(expected.bytes.size() == codes.size());
            int64_t apart = 0;
            for (size_t i = 0; i < codes.size(); ++i)
                apart += std::abs(static_cast<int>(codes[i]) - static_cast<int>(expected.bytes[i])) >
                         1; // one: equally near within rounding
            CHECK_MESSAGE(apart == 0, prefix, " ", name);
        }
    }
}

TEST_CASE("optimizers: 8-bit states from 4096 elements on, or at every size") {
    CHECK(
        testing::Optimizer(OptimizerKind::adamw8bit, 4096, 1e-2, 0.9, 0.999, 1e-8, 1e-4).codes().count("state1") == 1);
    CHECK(testing::Optimizer(OptimizerKind::adamw8bit, 4095, 1e-2, 0.9, 0.999, 1e-8, 1e-4).codes().empty());
    CHECK(
        testing::Optimizer(OptimizerKind::adamw8bit_all, 7, 1e-2, 0.9, 0.999, 1e-8, 1e-4).codes().at("state2").size() ==
        7);
    CHECK_THROWS_AS(testing::Optimizer(OptimizerKind{}, 10, 1e-2, 0.9, 0.999, 1e-8, 0), Error);
    CHECK_THROWS_AS(testing::Optimizer(OptimizerKind::adamw, 0, 1e-2, 0.9, 0.999, 1e-8, 0), Error);
}
