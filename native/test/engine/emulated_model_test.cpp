// Whole models on the CUDA backend, run through the emulator and on a card where there is one, against the CPU backend.
// The emulator's device memory cannot be touched by the host outside copies, so that whoever reads or writes it
// directly dies here. Tolerances are bf16's: eight bits of each factor of a product.
#include "atelier/testing.h"
#include "engine/emulated_device.h"
#include "goldens.h"
#include "ops/emulated_cuda.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

std::shared_ptr<Device> cpu() {
    static const auto shared = Device::cpu(2);
    return shared;
}

// Each in a run of the test case of its own.
std::shared_ptr<Device> card() {
    std::shared_ptr<Device> device;
    SUBCASE("emulated") { device = emulated_card({false, DType::f32}); }
    SUBCASE("emulated, bf16 activations") { device = emulated_card({false, DType::bf16}); }
    if (cuda_cards().empty()) return device;
    SUBCASE("on the card") {
        static const auto shared = Device::cuda();
        device = shared;
    }
    return device;
}

std::string component(const char* name) { return fixtures_dir() + "/model/" + name; }

// Both backends' answer to one question.
template <class F>
auto both(F&& ask) {
    const std::shared_ptr<Device> other = card();
    return std::pair(ask(cpu()), ask(other));
}

constexpr double kBf16 = 2e-2; // of the largest value, after the few layers of the small model
constexpr int64_t kRows = 4, kColumns = 2, kText = 9;

std::vector<float> flat(const TensorMap& map) {
    std::vector<float> all;
    for (const auto& [name, tensor] : map) all.insert(all.end(), tensor.data.begin(), tensor.data.end());
    return all;
}

} // namespace

TEST_CASE("a forward pass, block by block") {
    for (const BaseQuant quant : {BaseQuant::none, BaseQuant::nf4_double}) {
        const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
            const auto model = Transformer::load(device, component("transformer"), quant);
            const auto latents = drawn(kRows * kColumns * model->dims().in_channels, 1),
                       prompt = drawn(kText * model->dims().joint_dim, 2), pooled = drawn(model->dims().pooled_dim, 3);
            return testing::forward(*model, {latents, kRows, kColumns, 0.7f, 3.5f, prompt, pooled, true});
        });
        REQUIRE(got.size() == expected.size());
        for (const auto& [name, tensor] : expected) {
            CAPTURE(name);
            CHECK(relative_error(got.at(name).data, tensor.data) < kBf16);
        }
    }
}

TEST_CASE("training steps: losses, gradients, states that resume") {
    struct Outcome {
        std::vector<float> losses, gradients, adapter, resumed;
    };
    const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
        const auto model = Transformer::load(device, component("transformer"), BaseQuant::nf4);
        TrainOptions options;
        options.targets = {"to_q", "to_k", "to_v", "to_out.0", "proj_mlp", "norm1.linear"};
        options.learning_rate = 1e-2;
        options.accumulation = 2;
        const Trainer::Shape shape{kRows, kColumns, kText};
        Trainer trainer(model, options, {shape});
        Outcome outcome;
        const auto step = [&](Trainer& by) {
            for (unsigned i = 0; i < 2; ++i) {
                const DrawnSample drawn(model->dims(), shape, i);
                outcome.losses.push_back(static_cast<float>(by.micro_step(drawn.sample).loss));
            }
            const std::vector<float> gradients = flat(testing::gradients(by));
            by.optimizer_step();
            return gradients;
        };
        step(trainer); // B leaves zero, so that A has a gradient too
        outcome.gradients = step(trainer);
        Trainer again(model, options, {shape});
        again.load_state(trainer.save_state());
        step(trainer);
        step(again);
        for (const auto& [path, m] : trainer.adapter().modules)
            outcome.adapter.insert(outcome.adapter.end(), m.b.begin(), m.b.end());
        for (const auto& [path, m] : again.adapter().modules)
            outcome.resumed.insert(outcome.resumed.end(), m.b.begin(), m.b.end());
        CHECK(trainer.arena_high_water() == trainer.memory_plan().arena_bytes);
        return outcome;
    });
    CHECK(relative_error(got.losses, expected.losses) < 5e-3);
    CHECK(cosine(got.gradients, expected.gradients) > 0.999);
    CHECK(cosine(got.adapter, expected.adapter) >
          0.98); // Adam's first steps take a gradient's sign, which small ones change
    CHECK(got.resumed == got.adapter);
}

TEST_CASE("pictures' latents, with an adapter beside the weights and fused") {
    const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
        const auto model = Transformer::load(device, component("transformer"), BaseQuant::nf4);
        Adapter adapter;
        for (const LinearModule& m : model->modules())
            if (m.path.ends_with("attn.to_q"))
                adapter.modules[m.path] = {2, m.in, m.out, 2, drawn(2 * m.in, 50, 0.1f), drawn(2 * m.out, 51, 0.1f)};
        const auto prompt = drawn(kText * model->dims().joint_dim, 2), pooled = drawn(model->dims().pooled_dim, 3);
        Sampler::Request request;
        request.height = 16 * kRows;
        request.width = 16 * kColumns;
        request.steps = 2;
        request.seed = 4;
        request.prompt_embeds = prompt;
        request.pooled = pooled;
        std::vector<std::vector<float>> all;
        for (const bool fused : {false, true})
            all.push_back(Sampler(model, {{&adapter, 0.8f}}, fused).generate(request).data);
        return all;
    });
    for (size_t i = 0; i < expected.size(); ++i) CHECK(relative_error(got[i], expected[i]) < kBf16);
}

TEST_CASE("the encoders") {
    const std::vector<int32_t> ids = {3, 17, 5, 9, 1};
    SUBCASE("CLIP") {
        const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
            return ClipText::load(device, component("text_encoder"))->encode(ids);
        });
        CHECK(relative_error(got.last_hidden_state.data, expected.last_hidden_state.data) < kBf16);
        CHECK(relative_error(got.pooled.data, expected.pooled.data) < kBf16);
    }
    SUBCASE("T5") {
        const std::vector<std::vector<int32_t>> captions = {ids};
        const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
            return T5Text::load(device, component("text_encoder_2"))->encode(captions)[0].data;
        });
        CHECK(relative_error(got, expected) < kBf16);
    }
}

TEST_CASE("the autoencoder, both ways") {
    constexpr int64_t side = 16;
    const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
        const auto vae = Vae::load(device, component("vae"));
        const Vae::Posterior p = vae->encode(drawn(3 * side * side, 6, 0.5f), side, side);
        return std::pair(p.mean.data,
            vae->decode(drawn(static_cast<int64_t>(p.mean.data.size()), 7), p.mean.shape[1], p.mean.shape[2]).data);
    });
    CHECK(relative_error(got.first, expected.first) < kBf16);
    CHECK(relative_error(got.second, expected.second) < kBf16);
}

TEST_CASE("the autoencoder decodes within four of its first matrices of full size") {
    constexpr int64_t side = 256, channels = 16; // of the last block; the one before has twice as many
    for (const DType type : {DType::f32, DType::bf16}) {
        const auto vae = Vae::load(emulated_card({false, type}), component("vae"));
        const uint64_t matrix = side * side * channels * dtype_size(type);
        CHECK(vae->decode_bytes(side, side) <= 4 * matrix);
        CHECK(vae->decode_bytes(side, side) > 3 * matrix);
    }
}

TEST_CASE("a single pre-quantised linear") {
    const std::string file = fixtures_dir() + "/bnb_linear4bit.safetensors";
    const GoldenFile golden("bnb_linear4bit.safetensors");
    std::string prefix;
    for (const auto& [name, tensor] : golden.file().tensors())
        if (name.ends_with(".weight.absmax"))
            prefix = name.substr(0, name.size() - std::string(".weight.absmax").size());
    REQUIRE(!prefix.empty());
    const Golden x = golden["x"];
    const auto [expected, got] = both([&](const std::shared_ptr<Device>& device) {
        return testing::prequantized_linear(*device, file, prefix, {x.shape, x.data}).data;
    });
    CHECK(relative_error(got, expected) < kBf16);
}
