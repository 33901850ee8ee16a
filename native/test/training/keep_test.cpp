// What a block keeps for backward changes the memory and never a bit: every uniform choice and random mixtures against keeping all.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "engine/flux_transformer.h"
#include "training/lora_bank.h"
#include "training/micro_program.h"
#include "training/support.h"
#include <doctest/doctest.h>
#include <random>

using namespace atelier;
using namespace atelier::test;

namespace {

const std::vector<std::vector<std::string>> kTargets = {
    {"to_q", "to_k", "to_v", "to_out.0"},
    {"to_q", "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj", "ff_context.net.2"}, // the MLP's low-rank branches need x and x · Aᵀ on both sides of GELU
    {"proj_mlp", "proj_out"},
    {"ff.net.2", "proj_out"},
    {"norm1.linear", "norm.linear", "attn.add_q_proj"},                                  // gates with gradients: branches are read in backward
    {"transformer_blocks.1.ff.net.0.proj", "single_transformer_blocks.1.proj_mlp"},     // nothing below them: backward stops half-way through a block
    {"single_transformer_blocks.2.proj_out"},                                           // the last block's last linear alone
};

struct Outcome {
    float loss;
    std::vector<float> gradients;
    uint64_t arena;
    bool operator==(const Outcome& other) const { return loss == other.loss && gradients == other.gradients; }
};

class Fixture {
public:
    Fixture(BaseQuant quant, const std::vector<std::string>& targets) : device(Device::cpu(2)), model(FluxTransformer::load(device, transformer_dir(), quant)) {
        options.rank = 3;
        options.targets = targets;
        bank = std::make_unique<LoraBank>(model->impl->memory(), model->impl->weights.layers(), options);
        Adapter adapter = bank->adapter(); // B is zero: give it values, or A has no gradient
        for (auto& [path, m] : adapter.modules)
            for (size_t i = 0; i < m.b.size(); ++i) m.b[i] = 0.02f * static_cast<float>(static_cast<int>(i * 7919 % 13) - 6);
        bank->set_adapter(adapter);
    }

    size_t blocks() const { return static_cast<size_t>(model->dims().num_layers + model->dims().num_single_layers); }

    Outcome run(const std::vector<BlockKeep>& keep, const std::vector<bool>& parked = {}) const {
        FluxLayers layers = model->impl->weights.layers();
        bank->bind(layers);
        MicroProgram micro(layers, {6, 4, 17}, 2, {keep, {}, true, parked}, DType::f32);
        const auto weights = model->impl->place(std::vector(model->impl->packs.units.size(), true));
        std::vector<std::byte> parking(micro.parking.host_bytes(), std::byte{0xff});
        CHECK(parking.empty() == parked.empty());
        micro.place(model->impl->memory(), *weights, parking.data());
        Arena arena(model->impl->memory(), micro.program.plan().arena_bytes);
        std::fill_n(arena.data(), micro.program.plan().arena_bytes, std::byte{0xff}); // NaN: whoever reads what was not made is found out
        const Program::Resolver at = micro.program.resolver(arena.data());
        std::mt19937 random(5);
        std::normal_distribution<float> normal;
        for (const Sym& input : {micro.latents, micro.noise, micro.prompt}) {
            const View view = at(input);
            std::generate_n(view.f32(), view.size(), [&] { return normal(random); });
        }
        const std::vector<float> pooled(static_cast<size_t>(model->dims().pooled_dim), 0.3f);
        micro.conditioning.fill(model->impl->memory(), at, 0, 0.6f, 3.5f, pooled);
        *at(micro.sigma).f32() = 0.6f;
        *at(micro.weight).f32() = 1;
        Ops& ops = model->impl->ops();
        bank->clear_gradients(ops);
        CHECK(micro.program.run(ops, arena.data()) == micro.program.plan().arena_bytes);
        Outcome outcome{*at(micro.loss).f32(), {}, micro.program.plan().arena_bytes};
        for (const auto& [name, gradient] : bank->gradients()) outcome.gradients.insert(outcome.gradients.end(), gradient.data.begin(), gradient.data.end());
        return outcome;
    }

private:
    std::shared_ptr<Device> device;
    std::shared_ptr<FluxTransformer> model;
    TrainOptions options;
    std::unique_ptr<LoraBank> bank;
};

} // namespace

TEST_CASE("keep: every choice gives the same loss and gradients, bit for bit") {
    for (const BaseQuant quant : {BaseQuant::none, BaseQuant::nf4})
        for (const auto& targets : kTargets) {
            CAPTURE(targets.front());
            const Fixture fixture(quant, targets);
            const Outcome all = fixture.run(std::vector(fixture.blocks(), BlockKeep::all));
            REQUIRE(std::isfinite(all.loss));
            REQUIRE(std::any_of(all.gradients.begin(), all.gradients.end(), [](float v) { return v != 0; }));
            REQUIRE(std::all_of(all.gradients.begin(), all.gradients.end(), [](float v) { return std::isfinite(v); }));
            CHECK(fixture.run(std::vector(fixture.blocks(), BlockKeep::attention)) == all);
            CHECK(fixture.run(std::vector(fixture.blocks(), BlockKeep::input)) == all);
            std::mt19937 random(static_cast<unsigned>(targets.size()));
            for (int mixture = 0; mixture < 8; ++mixture) {
                std::vector<BlockKeep> keep(fixture.blocks());
                for (BlockKeep& k : keep) k = static_cast<BlockKeep>(random() % 3);
                CHECK(fixture.run(keep) == all);
                std::vector<bool> parked(keep.size());
                for (size_t i = 0; i < keep.size(); ++i) parked[i] = random() % 2;
                parked.back() = true; // planners do not, but it would be right
                keep.back() = BlockKeep::all;
                CHECK(fixture.run(keep, parked) == all);
            }
        }
}

TEST_CASE("keep: each level takes more memory than the one before") {
    const Fixture fixture(BaseQuant::nf4, kTargets.front());
    uint64_t arenas[3];
    for (const BlockKeep keep : {BlockKeep::input, BlockKeep::attention, BlockKeep::all}) arenas[static_cast<size_t>(keep)] = fixture.run(std::vector(fixture.blocks(), keep)).arena;
    CHECK(arenas[0] < arenas[1]);
    CHECK(arenas[1] < arenas[2]);
}
