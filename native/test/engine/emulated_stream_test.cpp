// Weights that are fetched while programs run: whatever the budget, the same bits as with all weights on the device, in exactly the memory that
// was planned. On the emulated card, whose copies happen as late as the waits allow or as early as the fetches do: between the two lies
// whatever a real one does.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
#include "atelier/engine.h"
#include "engine/emulated_device.h"
#include "engine/flux_transformer.h"
#include "goldens.h"
#include "models/flux/weight_units.h"
#include "ops/emulated_cuda.h"
#include "formats/safetensors.h"
#include "ops/emulator/device_memory.h"
#include "training/step_costs.h"
#include <doctest/doctest.h>
#include <filesystem>
#include <unistd.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr int64_t kRows = 2, kColumns = 2, kText = 5;
const Trainer::Shape kShape{kRows, kColumns, kText};

std::shared_ptr<Device> card() { return emulated_card({false, DType::bf16}, 1e6); }

std::shared_ptr<FluxTransformer> load(const std::shared_ptr<Device>& device, BaseQuant quant = BaseQuant::nf4_double) {
    return FluxTransformer::load(device, fixtures_dir() + "/model/transformer", quant);
}

TrainOptions options(uint64_t budget, std::vector<std::string> targets = {"to_q", "to_v", "to_out.0"}) {
    TrainOptions o;
    o.targets = std::move(targets);
    o.lr = 1e-2;
    o.accumulation = 2;
    o.memory_budget = budget;
    return o;
}

// The state after two optimizer steps.
std::vector<std::byte> train(Trainer& trainer, const FluxDims& dims) {
    for (unsigned i = 0; i < 4; ++i) {
        const auto mean = drawn(4 * kRows * kColumns * dims.in_channels / 4, 10 + i), logvar = drawn(static_cast<int64_t>(mean.size()), 20 + i, 0.1f);
        const auto prompt = drawn(kText * dims.joint_dim, 30 + i), pooled = drawn(dims.pooled_dim, 40 + i);
        Trainer::Sample sample;
        sample.mean = mean;
        sample.logvar = logvar;
        sample.shape = kShape;
        sample.prompt_embeds = prompt;
        sample.pooled = pooled;
        sample.sample_id = i;
        trainer.micro_step(sample);
        if (i % 2) trainer.optimizer_step();
    }
    return trainer.save_state();
}

uint64_t smallest_budget(const FluxTransformer& model, const TrainOptions& o) {
    TrainOptions one = o;
    one.memory_budget = 1;
    try {
        Trainer::plan(model, one, {kShape});
    } catch (const Error& e) {
        const std::string text = e.what(), before = "planned into is ";
        return std::stoull(text.substr(text.find(before) + before.size()));
    }
    FAIL("planned into one byte");
    return 0;
}

// The small encoder with its two layers over and over, in a folder of its own: two layers would both stay in the two slots.
class DeepT5 {
public:
    static constexpr int64_t kLayers = 5;
    DeepT5() {
        std::filesystem::create_directories(dir);
        const std::string from = fixtures_dir() + "/model/text_encoder_2";
        nlohmann::json config = nlohmann::json::parse(std::ifstream(from + "/config.json"));
        config["num_layers"] = kLayers;
        std::ofstream(dir + "/config.json") << config;
        const SafetensorsFile file = SafetensorsFile::open(from + "/model.safetensors");
        SafetensorsWriter writer;
        const std::string block = "encoder.block.";
        for (const auto& [name, tensor] : file.tensors()) {
            if (!name.starts_with(block)) {
                writer.add(name, tensor.dtype, tensor.shape, tensor.bytes);
                continue;
            }
            const int64_t layer = name[block.size()] - '0';
            const std::string rest = name.substr(block.size() + 1);
            for (int64_t to = layer; to < kLayers; to += 2)
                if (to == layer || rest.find("relative_attention_bias") == std::string::npos) writer.add(block + std::to_string(to) + rest, tensor.dtype, tensor.shape, tensor.bytes);
        }
        writer.write(dir + "/model.safetensors");
    }
    ~DeepT5() { std::filesystem::remove_all(dir); }
    const std::string dir = (std::filesystem::temp_directory_path() / ("atelier-t5-" + std::to_string(getpid()))).string();
};

struct Copying {
    explicit Copying(emulated::Copies when) { emulated::set_copies(when); }
    ~Copying() { emulated::set_copies(emulated::Copies::late); }
};

} // namespace

TEST_CASE("training: every budget computes the bits of an unlimited one, in the memory that was planned") {
    // Embedders trained: backward reads the modulation's weights once more, after the blocks'.
    for (const std::vector<std::string>& targets : {std::vector<std::string>{"to_q", "to_v", "to_out.0"}, {"to_q", "time_text_embed.text_embedder.linear_1"}}) {
        const auto device = card();
        const auto model = load(device);
        const uint64_t least = smallest_budget(*model, options(0, targets));
        std::vector<std::byte> state;
        uint64_t most = 0;
        {
            Trainer unlimited(model, options(0, targets), {kShape});
            const MemoryPlan plan = unlimited.memory_plan();
            CHECK(plan.choice.resident == 5);
            CHECK(plan.choice.modulation_resident);
            CHECK(plan.choice.keep_all == 5);
            CHECK(plan.choice.widened == 5); // the others widen what they multiply: equal states show equal bits
            most = plan.total_bytes();
            state = train(unlimited, model->dims());
        }
        REQUIRE(least < most);
        for (const emulated::Copies copies : {emulated::Copies::late, emulated::Copies::early}) {
            const Copying guard(copies);
            int64_t fewest = 5;
            for (const int part : {0, 2, 3}) {
                CAPTURE(part);
                const TrainOptions o = options(least + (most - least) * static_cast<uint64_t>(part) / 4, targets);
                Trainer trainer(model, o, {kShape});
                const MemoryPlan plan = trainer.memory_plan();
                CHECK(plan.total_bytes() <= o.memory_budget);
                CHECK(train(trainer, model->dims()) == state);
                CHECK(trainer.arena_high_water() == plan.arena_bytes);
                fewest = std::min(fewest, plan.choice.resident);
                if (part == 0) CHECK_FALSE(plan.choice.modulation_resident);
            }
            CHECK(fewest == 0);
        }
    }
}

TEST_CASE("training: what is reserved on the card is what the plan says") {
    const auto device = card();
    Memory& memory = device->impl->ops->memory();
    const uint64_t least = smallest_budget(*load(device), options(0));
    for (const uint64_t budget : {least, least + 200'000, uint64_t{0}}) {
        const auto model = load(device);
        const uint64_t before = memory.free_bytes();
        Trainer trainer(model, options(budget), {kShape});
        const MemoryPlan plan = trainer.memory_plan();
        const uint64_t reserved = before - memory.free_bytes(), planned = plan.arena_bytes + plan.weight_bytes + plan.state_bytes;
        CHECK(reserved <= planned + 4 * 512); // the emulator rounds each of the four reservations up, and keeps a gap
        CHECK(reserved + 20'000 >= planned); // latents and noise, which the host keeps
    }
}

TEST_CASE("what the planner counts for weights is what their packs take") {
    for (const BaseQuant quant : {BaseQuant::none, BaseQuant::nf4, BaseQuant::nf4_double}) {
        const auto model = load(card(), quant);
        const FluxLayers& layers = model->impl->weights.layers();
        const PlannerTask task = planner_task({layers, {{kRows, kColumns, kText}}, 1, 0, 0, host_profile()});
        for (unsigned mask = 0; mask < 64; ++mask) {
            MemoryChoice choice = choice_without_budget(5, true);
            for (size_t i = 0; i < 5; ++i) choice.resident[i] = mask >> i & 1;
            choice.modulation_resident = mask >> 5;
            CHECK(device_weight_bytes(task, choice) + task.fixed_bytes == PlacedUnits::device_bytes(model->impl->packs, unit_residence(model->dims(), choice)));
        }
        CHECK(model->weight_bytes() == PlacedUnits::device_bytes(model->impl->packs, std::vector(model->impl->packs.units.size(), Residence::resident)));
    }
}

TEST_CASE("a card's profile counts the workspace that its backend reserves") {
    for (const DeviceProfile& profile : card_profiles()) CHECK(profile.workspace_bytes == card_workspace_bytes());
}

TEST_CASE("pictures: a small budget draws the same, and two samplers share what is placed") {
    const auto device = card();
    Memory& memory = device->impl->ops->memory();
    Sampler::Request request;
    request.height = 16 * kRows;
    request.width = 16 * kColumns;
    request.steps = 3;
    request.seed = 4;
    const auto draw = [&](const std::shared_ptr<FluxTransformer>& model, uint64_t budget, bool fused) {
        Adapter adapter;
        for (const LinearModule& m : model->modules())
            if (m.path.ends_with("attn.to_q")) adapter.modules[m.path] = {2, m.in, m.out, 2, drawn(2 * m.in, 50, 0.1f), drawn(2 * m.out, 51, 0.1f)};
        const auto text = drawn(kText * model->dims().joint_dim, 2), vector = drawn(model->dims().pooled_dim, 3);
        request.prompt_embeds = text;
        request.pooled = vector;
        request.memory_budget = budget;
        Sampler sampler(model, {{&adapter, 0.8f}}, fused);
        const MemoryPlan plan = sampler.plan(request);
        if (budget) CHECK(plan.total_bytes() <= budget);
        return std::pair(sampler.generate(request).data, plan);
    };
    const UnitPacks packs = weight_units(load(device)->impl->weights.layers());
    const uint64_t least = PlacedUnits::device_bytes(packs, std::vector(packs.units.size(), Residence::fetched));
    for (const bool fused : {false, true}) {
        const auto [expected, whole] = draw(load(device), 0, fused);
        CHECK(whole.weight_bytes == load(device)->weight_bytes());
        for (const emulated::Copies copies : {emulated::Copies::late, emulated::Copies::early}) {
            const Copying guard(copies);
            for (const uint64_t part : {0, 5, 9}) {
                const auto [got, plan] = draw(load(device), whole.total_bytes() - (whole.weight_bytes - least) * (10 - part) / 10, fused);
                CHECK(got == expected);
                CHECK(plan.weight_bytes < whole.weight_bytes);
            }
        }
        CHECK_THROWS_WITH_AS(draw(load(device), whole.total_bytes() - (whole.weight_bytes - least) - 1, fused), doctest::Contains("the transformer's weights need at least"), Error);
    }
    const auto model = load(device);
    draw(model, 0, false);
    const uint64_t once = memory.free_bytes();
    draw(model, 0, false);
    CHECK(memory.free_bytes() == once);
}

TEST_CASE("T5: layers that are fetched give the same embeds, and a longer text makes room for itself") {
    const auto device = card();
    const DeepT5 deep;
    const std::string& dir = deep.dir;
    const std::vector<int32_t> ids = {3, 17, 5, 9, 1}, more = {3, 17, 5, 9, 4, 4, 8, 1};
    const auto whole = T5Text::load(device, dir);
    const Tensor expected = whole->encode(ids), longer = whole->encode(more);
    uint64_t smallest = 0;
    try {
        T5Text::load(device, dir, {}, 1)->encode(more);
        FAIL("encoded within one byte");
    } catch (const Error& e) {
        const std::string text = e.what(), before = "weights need at least ";
        smallest = std::stoull(text.substr(text.find(before) + before.size()));
    }
    for (const emulated::Copies copies : {emulated::Copies::late, emulated::Copies::early}) {
        const Copying guard(copies);
        // Beside the two slots lie the token table and what runs, 310 to 320 KB; a layer has 164.
        const auto small = T5Text::load(device, dir, {}, device->impl->ops->workspace_bytes() + smallest + 330'000);
        CHECK(small->encode(ids).data == expected.data);
        CHECK(small->encode(more).data == longer.data);
        const uint64_t placed = emulated::copied_to_device();
        CHECK(small->encode(ids).data == expected.data);
        CHECK(emulated::copied_to_device() - placed > smallest); // more than the two slots' size, for every text
    }
}

TEST_CASE("fetches bring what the program reads, and no more") {
    const auto device = card();
    const auto model = load(device);
    Trainer trainer(model, options(smallest_budget(*model, options(0))), {kShape});
    const PlacedUnits& placed = *model->impl->place(unit_residence(model->dims(), {{}, std::vector(5, false), false}));
    CHECK(std::count(placed.residence().begin(), placed.residence().end(), Residence::fetched) == static_cast<long>(placed.residence().size()));
    const uint64_t before = emulated::copied_to_device();
    train(trainer, model->dims());
    uint64_t modulation = 0, blocks = 0, most = 0;
    for (size_t i = 0; i < model->impl->packs.units.size(); ++i) {
        const uint64_t bytes = model->impl->packs.units[i].bytes();
        (i < modulation_units(model->dims()) ? modulation : blocks) += bytes;
        most = std::max(most, bytes);
    }
    const uint64_t fetched = emulated::copied_to_device() - before, forward = modulation + blocks, inputs = 200'000;
    CHECK(fetched > 4 * (forward + blocks - 2 * most)); // four micro-steps; backward begins with the two blocks that are there
    CHECK(fetched < 4 * (forward + blocks) + inputs);
}
