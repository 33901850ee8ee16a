// What a block keeps for backward, and how many samples pass the blocks together, changes the memory and never a bit:
// every uniform choice and random mixtures against keeping all, groups against samples one by one.
#include "engine/transformer.h"
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
    {"to_q", "ff.net.0.proj", "ff.net.2", "ff_context.net.0.proj",
        "ff_context.net.2"}, // the MLP's low-rank branches need x and x · Aᵀ on both sides of GELU
    {"proj_mlp", "proj_out"},
    {"ff.net.2", "proj_out"},
    {"norm1.linear", "norm.linear", "attn.add_q_proj"}, // gates with gradients: branches are read in backward
    {"transformer_blocks.1.ff.net.0.proj",
        "single_transformer_blocks.1.proj_mlp"}, // nothing below them: backward stops half-way through a block
    {"single_transformer_blocks.2.proj_out"}, // the last block's last linear alone
};

constexpr int kSamples = 4;

struct Outcome {
    std::vector<float> losses, gradients;
    uint64_t arena;
    bool operator==(const Outcome& other) const { return losses == other.losses && gradients == other.gradients; }
};

class Fixture {
public:
    Fixture(BaseQuant quant, const std::vector<std::string>& targets)
        : device(Device::cpu(2)), model(Transformer::load(device, transformer_dir(), quant)) {
        options.rank = 3;
        options.targets = targets;
        bank = std::make_unique<LoraBank>(model->impl->memory(), model->impl->weights.layers(), options);
        AdapterWeights adapter = bank->adapter(); // B is zero: give it values, or A has no gradient
        for (auto& [path, m] : adapter.modules)
            for (size_t i = 0; i < m.b.size(); ++i)
                m.b[i] = 0.02f * static_cast<float>(static_cast<int>(i * 7919 % 13) - 6);
        bank->set_adapter(adapter);
    }

    size_t blocks() const { return static_cast<size_t>(model->dims().num_layers + model->dims().num_single_layers); }

    // `count` samples, `together` at a time.
    Outcome run(const std::vector<BlockKeep>& keep, int count = 1, int together = 1,
        const std::vector<bool>& parked = {}) const {
        TransformerLayers layers = model->impl->weights.layers();
        bank->bind(layers);
        Memory& memory = model->impl->memory();
        const TransformerTables tables(layers.dims, 17, 6, 4);
        MicroProgram micro(layers, {6, 4, 17}, tables, {together, 2, keep, DType::f32, parked});
        const auto weights = model->impl->place(std::vector(model->impl->packs.units.size(), Residence::resident));
        Constants constants(memory, {&weights->constants()});
        tables.add_to(constants);
        constants.place();
        std::vector<std::byte> parking(micro.parking.host_bytes(), std::byte{0xff});
        CHECK(parking.empty() == parked.empty());
        micro.connect(*weights, constants, parking.data());
        Arena arena(memory, micro.program.plan().arena_bytes);
        const Program::Resolver at = micro.program.resolver(arena.data());
        std::mt19937 random(5);
        std::normal_distribution<float> normal;
        Ops& ops = model->impl->ops();
        bank->clear_gradients(ops);
        Outcome outcome{{}, {}, micro.program.plan().arena_bytes};
        for (int pass = 0; pass < count / together; ++pass) {
            std::fill_n(arena.data(), micro.program.plan().arena_bytes,
                std::byte{0xff}); // NaN: whoever reads what was not made is found out
            for (const MicroProgram::Sample& sample : micro.samples) {
                for (const Sym& input : {sample.latents, sample.noise, sample.prompt}) {
                    const View view = at(input);
                    std::generate_n(view.f32(), view.size(), [&] { return normal(random); });
                }
                const float sigma = std::uniform_real_distribution(0.2f, 0.9f)(random);
                const std::vector<float> pooled(static_cast<size_t>(model->dims().pooled_dim), 0.5f * sigma);
                sample.conditioning.fill(memory, at, 0, sigma, 3.5f, pooled);
                *at(sample.sigma).f32() = sigma;
                *at(sample.weight).f32() = 1;
            }
            CHECK(micro.program.run(ops, arena.data()) == micro.program.plan().arena_bytes);
            for (const MicroProgram::Sample& sample : micro.samples) outcome.losses.push_back(*at(sample.loss).f32());
        }
        for (const auto& [name, gradient] : bank->gradients())
            outcome.gradients.insert(outcome.gradients.end(), gradient.data.begin(), gradient.data.end());
        return outcome;
    }

private:
    std::shared_ptr<Device> device;
    std::shared_ptr<Transformer> model;
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
            REQUIRE(std::isfinite(all.losses.front()));
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
                CHECK(fixture.run(keep, 1, 1, parked) == all);
            }
        }
}

TEST_CASE("keep: each level takes more memory than the one before") {
    const Fixture fixture(BaseQuant::nf4, kTargets.front());
    uint64_t arenas[3];
    for (const BlockKeep keep : {BlockKeep::input, BlockKeep::attention, BlockKeep::all})
        arenas[static_cast<size_t>(keep)] = fixture.run(std::vector(fixture.blocks(), keep)).arena;
    CHECK(arenas[0] < arenas[1]);
    CHECK(arenas[1] < arenas[2]);
}

TEST_CASE(
    "together: samples that pass the blocks at once have the losses and gradients of samples one by one, bit for bit") {
    std::vector<std::vector<std::string>> targets = kTargets;
    targets.push_back({"time_text_embed.text_embedder.linear_1", "norm1.linear", "x_embedder",
        "proj_out"}); // gradients that go below the blocks
    for (const auto& t : targets) {
        CAPTURE(t.front());
        const Fixture fixture(BaseQuant::nf4, t);
        std::vector<BlockKeep> keep(fixture.blocks());
        for (size_t i = 0; i < keep.size(); ++i) keep[i] = static_cast<BlockKeep>(i % 3);
        const Outcome alone = fixture.run(keep, kSamples);
        REQUIRE(std::all_of(alone.gradients.begin(), alone.gradients.end(), [](float v) { return std::isfinite(v); }));
        REQUIRE(alone.losses[0] != alone.losses[1]);
        for (const int together : {2, 4}) {
            const Outcome group = fixture.run(keep, kSamples, together);
            CHECK(group == alone);
            CHECK(group.arena > alone.arena);
            std::vector<bool> parked(keep.size());
            for (size_t i = 0; i < keep.size(); ++i) parked[i] = keep[i] != BlockKeep::input;
            CHECK(fixture.run(keep, kSamples, together, parked) == alone);
        }
    }
}
