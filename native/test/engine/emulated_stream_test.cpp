// Weights that are fetched and kept tensors that are parked while programs run: whatever the budget, the same bits as
// with everything on the device, in exactly the memory that was planned. On the emulated card, whose copies happen as
// late as the waits allow or as early as the fetches do: between the two lies whatever a real one does.
#include "atelier/engine.h"
#include "engine/emulated_device.h"
#include "engine/transformer.h"
#include "goldens.h"
#include "models/transformer.h"
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

std::shared_ptr<Device> card(double host_copy = 1e6) { return emulated_card({false, DType::bf16}, host_copy); }

std::shared_ptr<Transformer> load(const std::shared_ptr<Device>& device, BaseQuant quant = BaseQuant::nf4_double) {
    return Transformer::load(device, fixtures_dir() + "/model/transformer", quant);
}

TrainOptions options(uint64_t budget, std::vector<std::string> targets = {"to_q", "to_v", "to_out.0"}) {
    TrainOptions o;
    o.targets = std::move(targets);
    o.learning_rate = 1e-2;
    o.accumulation = 2;
    o.memory_budget = budget;
    return o;
}

// The state after two optimizer steps of two samples.
std::vector<std::byte> train(Trainer& trainer, const TransformerDims& dims) {
    for (unsigned step = 0; step < 2; ++step) {
        const DrawnSample first(dims, kShape, 2 * step), second(dims, kShape, 2 * step + 1);
        trainer.micro_steps(std::vector{first.sample, second.sample});
        trainer.optimizer_step();
    }
    return trainer.save_state();
}

uint64_t smallest_budget(const Transformer& model, const TrainOptions& o) {
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

// The small encoder with its two layers over and over, in a folder of its own: two layers would both stay in the two
// slots.
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
                if (to == layer || rest.find("relative_attention_bias") == std::string::npos)
                    writer.add(block + std::to_string(to) + rest, tensor.dtype, tensor.shape, tensor.bytes);
        }
        writer.write(dir + "/model.safetensors");
    }
    ~DeepT5() { std::filesystem::remove_all(dir); }
    const std::string dir =
        (std::filesystem::temp_directory_path() / ("atelier-t5-" + std::to_string(getpid()))).string();
};

struct Copying {
    explicit Copying(emulated::Copies when) { emulated::set_copies(when); }
    ~Copying() { emulated::set_copies(emulated::Copies::late); }
};

} // namespace

TEST_CASE("training: every budget computes the bits of an unlimited one, in the memory that was planned") {
    // Embedders trained: backward reads the modulation's weights once more, after the blocks'.
    using Targets = std::vector<std::string>;
    for (const auto& [targets, bus] :
        {std::pair{Targets{"to_q", "to_v", "to_out.0"}, 1e6}, {{"to_q", "to_v", "ff.net.2", "proj_out"}, 1e8},
            {{"to_q", "time_text_embed.text_embedder.linear_1"}, 1e8}}) {
        const auto device = card(bus); // a slow one, on which little is parked, and a fast one
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
            int64_t fewest = 5, parked = 0;
            for (const int part : {0, 1, 2, 3}) {
                CAPTURE(part);
                const TrainOptions o = options(least + (most - least) * static_cast<uint64_t>(part) / 4, targets);
                Trainer trainer(model, o, {kShape});
                const MemoryPlan plan = trainer.memory_plan();
                CHECK(plan.total_bytes() <= o.memory_budget);
                CHECK(train(trainer, model->dims()) == state);
                CHECK(trainer.arena_high_water() == plan.arena_bytes);
                fewest = std::min(fewest, plan.choice.resident);
                parked = std::max(parked, plan.choice.parked);
                if (part == 0) CHECK_FALSE(plan.choice.modulation_resident);
            }
            CHECK(fewest == 0);
            if (bus > 1e6) CHECK(parked > 0);
        }
    }
}

TEST_CASE("training: where copying is slow, samples pass the blocks together and compute the bits of samples alone") {
    const auto model = load(card());
    std::vector<std::byte> state;
    {
        Trainer unlimited(model, options(0), {kShape});
        REQUIRE(unlimited.memory_plan().choice.together == 1); // nothing is fetched
        state = train(unlimited, model->dims());
    }
    const auto slow = load(card(1e3));
    for (const emulated::Copies copies : {emulated::Copies::late, emulated::Copies::early}) {
        const Copying guard(copies);
        const TrainOptions o = options(smallest_budget(*slow, options(0)) + 40'000);
        Trainer trainer(slow, o, {kShape});
        const MemoryPlan plan = trainer.memory_plan();
        CHECK(plan.choice.together == 2);
        CHECK(plan.choice.resident < 5);
        CHECK(plan.total_bytes() <= o.memory_budget);
        CHECK(train(trainer, slow->dims()) == state);
        CHECK(trainer.arena_high_water() == plan.arena_bytes);
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
        const uint64_t reserved = before - memory.free_bytes(),
                       planned = plan.arena_bytes + plan.weight_bytes + plan.state_bytes;
        CHECK(reserved <= planned + 4 * 512); // the emulator rounds each of the four reservations up, and keeps a gap
        CHECK(reserved + 20'000 >= planned); // latents and noise, which the host keeps
    }
}

TEST_CASE("what the planner counts for weights is what their packs take") {
    for (const BaseQuant quant : {BaseQuant::none, BaseQuant::nf4, BaseQuant::nf4_double}) {
        const auto model = load(card(), quant);
        const TransformerLayers& layers = model->impl->weights.layers();
        const PlannerTask task = planner_task({layers, {{kRows, kColumns, kText}}, 1, 0, 0, host_profile()});
        for (unsigned mask = 0; mask < 64; ++mask) {
            MemoryChoice choice = choice_without_budget(5, true);
            for (size_t i = 0; i < 5; ++i) choice.resident[i] = mask >> i & 1;
            choice.modulation_resident = mask >> 5;
            CHECK(device_weight_bytes(task, choice) + task.fixed_bytes ==
                  PlacedUnits::device_bytes(model->impl->packs, unit_residence(model->dims(), choice)));
        }
        CHECK(model->weight_bytes() == PlacedUnits::device_bytes(model->impl->packs,
                                           std::vector(model->impl->packs.units.size(), Residence::resident)));
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
    const auto draw = [&](const std::shared_ptr<Transformer>& model, uint64_t budget, bool fused) {
        Adapter adapter;
        for (const LinearModule& m : model->modules())
            if (m.path.ends_with("attn.to_q"))
                adapter.modules[m.path] = {2, m.in, m.out, 2, drawn(2 * m.in, 50, 0.1f), drawn(2 * m.out, 51, 0.1f)};
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
                const auto [got, plan] =
                    draw(load(device), whole.total_bytes() - (whole.weight_bytes - least) * (10 - part) / 10, fused);
                CHECK(got == expected);
                CHECK(plan.weight_bytes < whole.weight_bytes);
            }
        }
        CHECK_THROWS_WITH_AS(draw(load(device), whole.total_bytes() - (whole.weight_bytes - least) - 1, fused),
            doctest::Contains("the transformer's weights need at least"), Error);
    }
    const auto model = load(device);
    draw(model, 0, false);
    const uint64_t once = memory.free_bytes();
    draw(model, 0, false);
    CHECK(memory.free_bytes() == once);
}

TEST_CASE("pictures: a budget leaves room to decode beside the weights that stay") {
    const auto device = card();
    Memory& memory = device->impl->ops->memory();
    const auto vae = Vae::load(device, fixtures_dir() + "/model/vae");
    const uint64_t empty = memory.free_bytes();
    const auto model = load(device);
    const std::vector<float> text = drawn(kText * model->dims().joint_dim, 2),
                             vector = drawn(model->dims().pooled_dim, 3);
    Sampler::Request request;
    request.height = 16 * kRows;
    request.width = 16 * kColumns;
    request.steps = 1;
    request.prompt_embeds = text;
    request.pooled = vector;
    Sampler sampler(model, {});
    const MemoryPlan alone = sampler.plan(request);
    request.decode_bytes = vae->decode_bytes(request.height, request.width);
    REQUIRE(request.decode_bytes > alone.arena_bytes + 50'000);
    request.memory_budget = alone.total_bytes() + 50'000; // too little for decoding beside all weights
    const MemoryPlan plan = sampler.plan(request);
    CHECK(plan.arena_bytes == request.decode_bytes);
    CHECK(plan.weight_bytes < alone.weight_bytes);
    CHECK(plan.total_bytes() <= request.memory_budget);
    CHECK(memory.free_bytes() == empty); // nothing is placed for a plan, of the autoencoder neither

    const Tensor packed = sampler.generate(request);
    const uint64_t drawn_with = empty - memory.free_bytes();
    CHECK(drawn_with <= plan.weight_bytes + plan.state_bytes + 1024); // the emulator rounds reservations up
    vae->decode_packed(packed, request.height, request.width);
    const uint64_t vae_weights = empty - memory.free_bytes() - drawn_with;
    CHECK(vae_weights >= vae->weight_bytes());
    CHECK(vae_weights <= vae->weight_bytes() + 1024);
}

TEST_CASE("T5: layers that are fetched give the same embeds, once for captions that fit beside them together") {
    const auto device = card();
    const DeepT5 deep;
    const std::string& dir = deep.dir;
    using Captions = std::vector<std::vector<int32_t>>;
    const Captions captions = {{3, 17, 5, 9, 1}, {8, 2, 2, 11, 1}, {6, 5, 4, 3, 1}},
                   longer = {{3, 17, 5, 9, 4, 4, 8, 1}};
    const auto values = [](const std::vector<Tensor>& tensors) {
        std::vector<std::vector<float>> all;
        for (const Tensor& t : tensors) all.push_back(t.data);
        return all;
    };
    const auto whole = T5Text::load(device, dir);
    const auto expected = values(whole->encode(captions)), expected_longer = values(whole->encode(longer));
    for (size_t i = 0; i < captions.size(); ++i)
        CHECK(values(whole->encode(Captions{captions[i]})).front() == expected[i]);

    const auto least = [&](const Captions& of) { // of the layers, beside what runs
        try {
            T5Text::load(device, dir, {}, 1)->encode(of);
        } catch (const Error& e) {
            const std::string text = e.what(), before = "weights need at least ";
            return std::stoull(text.substr(text.find(before) + before.size()));
        }
        FAIL("encoded within one byte");
        return 0ull;
    };
    const uint64_t slots = least(captions), layers = slots / 2 * static_cast<uint64_t>(DeepT5::kLayers),
                   reserved = device->impl->ops->workspace_bytes();
    const auto works = [&](uint64_t budget) {
        try {
            T5Text::load(device, dir, {}, budget)->encode(Captions{captions[0]});
            return true;
        } catch (const Error&) {
            return false;
        }
    };
    uint64_t smallest =
        reserved + slots; // that one caption passes within; beside two slots lie the token table and what runs
    while (!works(smallest)) smallest += 512;

    const auto fetched = [&](T5Text& t5, const Captions& of) {
        const uint64_t before = emulated::copied_to_device();
        t5.encode(of);
        return emulated::copied_to_device() - before;
    };
    for (const emulated::Copies copies : {emulated::Copies::late, emulated::Copies::early}) {
        const Copying guard(copies);
        for (const bool roomy : {false, true}) {
            CAPTURE(roomy);
            const auto small = T5Text::load(
                device, dir, {}, smallest + (roomy ? 10'000 : 0)); // a caption of 5 tokens takes 1408 bytes
            CHECK(values(small->encode(captions)) == expected);
            const uint64_t one = fetched(*small, {captions[0]}), three = fetched(*small, captions);
            CHECK(one > layers - slots); // what is in the slots is not fetched again
            if (roomy) CHECK(three < one + slots / 2);
            else CHECK(three > 2 * one + slots / 2);
        }
        // A longer caption makes room for itself, and may stand between others.
        const auto small = T5Text::load(device, dir, {}, smallest + 10'000);
        small->encode(captions);
        CHECK(values(small->encode(longer)) == expected_longer);
        CHECK(values(small->encode(Captions{captions[0], longer[0], captions[1]})) ==
              std::vector{expected[0], expected_longer[0], expected[1]});
    }
}

TEST_CASE("T5: a cancelled batch ends between ops, progress counts captions") {
    const auto t5 = T5Text::load(card(), fixtures_dir() + "/model/text_encoder_2");
    const std::vector<std::vector<int32_t>> captions(3, {3, 17, 1});
    std::atomic<bool> cancelled = false;
    std::vector<double> done;
    EngineProgress progress{[&](double at, double total, const char*) {
                                CHECK(total == 3);
                                done.push_back(at);
                                cancelled = at == 2;
                            },
        &cancelled};
    CHECK_THROWS_WITH_AS(t5->encode(captions, progress), doctest::Contains("cancelled"), Error);
    CHECK(done == std::vector<double>{1, 2});
}

TEST_CASE("fetches bring what the program reads, and no more") {
    const auto device = card();
    const auto model = load(device);
    Trainer trainer(model, options(smallest_budget(*model, options(0))), {kShape});
    const PlacedUnits& placed = *model->impl->place(unit_residence(model->dims(), {{}, std::vector(5, false), false}));
    CHECK(std::count(placed.residence().begin(), placed.residence().end(), Residence::fetched) ==
          static_cast<long>(placed.residence().size()));
    const uint64_t before = emulated::copied_to_device();
    train(trainer, model->dims());
    uint64_t modulation = 0, blocks = 0, most = 0;
    for (size_t i = 0; i < model->impl->packs.units.size(); ++i) {
        const uint64_t bytes = model->impl->packs.units[i].bytes();
        (i < modulation_units(model->dims()) ? modulation : blocks) += bytes;
        most = std::max(most, bytes);
    }
    const uint64_t fetched = emulated::copied_to_device() - before, forward = modulation + blocks, inputs = 200'000;
    CHECK(fetched >
          4 * (forward + blocks - 2 * most)); // four micro-steps; backward begins with the two blocks that are there
    CHECK(fetched < 4 * (forward + blocks) + inputs);
}

TEST_CASE("score: on a card, whose weights stay or are fetched, one loss, and a run without a trace of it") {
    std::vector<double> expected;
    for (const bool least : {false, true}) {
        CAPTURE(least);
        const auto model = load(card());
        TrainOptions o = options(uint64_t{1} << 30);
        if (least) o.memory_budget = smallest_budget(*model, o);
        const TransformerDims dims = model->dims();
        const auto state = [&] {
            Trainer quiet(model, o, {kShape});
            return train(quiet, dims);
        }();
        Trainer trainer(model, o, {kShape});
        CHECK((trainer.memory_plan().choice.resident == 5) == !least);
        const DrawnSample held(dims, kShape, 90);
        std::vector<double> losses;
        const auto score = [&] {
            for (const auto& result : trainer.score(held.sample, 3)) losses.push_back(result.loss);
        };
        score();
        for (unsigned step = 0; step < 2; ++step) {
            const DrawnSample first(dims, kShape, 2 * step), second(dims, kShape, 2 * step + 1);
            trainer.micro_steps(std::vector{first.sample, second.sample});
            trainer.optimizer_step();
            score();
        }
        CHECK(trainer.save_state() == state);
        CHECK(trainer.arena_high_water() <= trainer.memory_plan().arena_bytes);
        if (!least) expected = losses;
        CHECK(losses == expected);
        CHECK(losses.size() == 9);
    }
}
