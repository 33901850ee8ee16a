// Training within a memory budget: what is planned is what is reserved, whatever is chosen computes the same bits, and
// FLUX.1-dev's plans on cards keep to the arithmetic of a paper model.
#include "base/machine_memory.h"
#include "training/lora_bank.h"
#include "training/step_costs.h"
#include "training/support.h"
#include <chrono>
#include <doctest/doctest.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr uint64_t kGiB = uint64_t{1} << 30;

struct Tiny {
    GoldenFile file{"training.safetensors"};
    Golden mean = file["mean"], logvar = file["logvar"], prompt = file["prompt_embeds"], pooled = file["pooled"];
    Trainer::Shape shape{mean.shape[2] / 2, mean.shape[3] / 2, prompt.shape[1]};
    std::shared_ptr<Transformer> model = Transformer::load(Device::cpu(2), transformer_dir(), BaseQuant::nf4);
    TrainOptions options = golden_options();

    Tiny() {
        options.learning_rate = 1e-2;
        options.accumulation = 2;
    }

    std::vector<std::byte> train(Trainer& trainer, std::vector<double>& losses) const {
        for (int64_t micro = 0; micro < 6; ++micro) {
            Trainer::Sample s;
            s.mean = mean.row(micro % mean.shape[0]);
            s.logvar = logvar.row(micro % mean.shape[0]);
            s.shape = shape;
            s.prompt_embeds = prompt.row(micro % mean.shape[0]);
            s.pooled = pooled.row(micro % mean.shape[0]);
            s.sample_id = static_cast<uint64_t>(micro);
            losses.push_back(trainer.micro_step(s).loss);
            if ((micro + 1) % options.accumulation == 0) trainer.optimizer_step();
        }
        return trainer.save_state();
    }
};

int64_t blocks(const MemoryPlan& plan) {
    return plan.choice.keep_input + plan.choice.keep_attention + plan.choice.keep_all;
}

CardRun flux_dev(uint64_t budget, bool large = false) {
    CardRun run;
    run.quant = BaseQuant::nf4_double;
    run.options.memory_budget = budget;
    run.options.accumulation = 4;
    run.shapes = {large ? Trainer::Shape{64, 64, 512} : Trainer::Shape{48, 32, 77}};
    return run;
}

} // namespace

TEST_CASE("budget: planned is reserved and used, and every budget trains the same bits") {
    const Tiny tiny;
    TrainOptions keep = tiny.options, again = tiny.options;
    keep.recompute = false;
    const MemoryPlan most = Trainer::plan(*tiny.model, keep, {tiny.shape}),
                     least = Trainer::plan(*tiny.model, again, {tiny.shape});
    REQUIRE(least.total_bytes() < most.total_bytes());
    std::vector<double> losses;
    Trainer unlimited(tiny.model, keep, {tiny.shape});
    const std::vector<std::byte> state = tiny.train(unlimited, losses);

    std::vector<uint64_t> arenas;
    for (int part = 0; part <= 6; ++part) {
        TrainOptions o = tiny.options;
        o.memory_budget =
            least.total_bytes() + (most.total_bytes() - least.total_bytes()) * static_cast<uint64_t>(part) / 6;
        const MemoryPlan plan = Trainer::plan(*tiny.model, o, {tiny.shape});
        CHECK(plan.total_bytes() <= o.memory_budget);
        CHECK(blocks(plan) == 5);
        CHECK(plan.choice.resident == 5);
        Trainer trainer(tiny.model, o, {tiny.shape});
        CHECK(trainer.memory_plan().total_bytes() == plan.total_bytes());
        std::vector<double> here;
        CHECK(tiny.train(trainer, here) == state);
        CHECK(here == losses);
        CHECK(trainer.arena_high_water() == plan.arena_bytes);
        arenas.push_back(plan.arena_bytes);
    }
    CHECK(arenas.front() == least.arena_bytes);
    CHECK(arenas.back() == most.arena_bytes);
    CHECK(std::is_sorted(arenas.begin(), arenas.end()));
    CHECK(
        std::adjacent_find(arenas.begin(), arenas.end(), [](uint64_t a, uint64_t b) { return b > a; }) != arenas.end());
}

TEST_CASE("budget: it holds for the largest of several shapes") {
    const Tiny tiny;
    const Trainer::Shape wide{2, 9, 40}, small{2, 2, 8};
    TrainOptions o = tiny.options;
    for (const bool recompute : {true, false}) {
        o.recompute = recompute;
        o.memory_budget = 0;
        const uint64_t total = Trainer::plan(*tiny.model, o, {small, tiny.shape, wide, small}).total_bytes();
        o.memory_budget = total + 100'000;
        const MemoryPlan plan = Trainer::plan(*tiny.model, o, {small, tiny.shape, wide, small});
        CHECK(plan.total_bytes() <= o.memory_budget);
        CHECK(plan.total_bytes() >= (recompute ? total : 0));
    }
}

TEST_CASE("budget: too small a one is refused, naming the smallest that works, and that one works") {
    const Tiny tiny;
    TrainOptions o = tiny.options;
    o.memory_budget = 1;
    try {
        Trainer::plan(*tiny.model, o, {tiny.shape});
        FAIL("planned into one byte");
    } catch (const Error& e) {
        CHECK(e.code() == ErrorCode::resource_exhausted);
        const std::string text = e.what(), before = "planned into is ";
        const uint64_t smallest = std::stoull(text.substr(text.find(before) + before.size()));
        o.memory_budget = smallest;
        CHECK(Trainer::plan(*tiny.model, o, {tiny.shape}).total_bytes() == smallest);
        o.memory_budget = smallest - 1;
        CHECK_THROWS_AS(Trainer::plan(*tiny.model, o, {tiny.shape}), Error);
    }
}

TEST_CASE("card: FLUX.1-dev without a card or weights, in well under two seconds") {
    const auto begin = std::chrono::steady_clock::now();
    double before = INFINITY;
    for (const uint64_t gib : {4, 6, 8, 12, 16, 24}) {
        const MemoryPlan plan = plan_on_card(flux_dev(gib * kGiB));
        CHECK(plan.total_bytes() <= gib * kGiB);
        CHECK(blocks(plan) == 57);
        CHECK(plan.time.total_ms <= before);
        before = plan.time.total_ms;
        MESSAGE(gib, " GiB: ", plan.time.total_ms, " ms, ", static_cast<double>(plan.total_bytes()) / 1e9,
            " GB; keep input ", plan.choice.keep_input, ", attention ", plan.choice.keep_attention, ", all ",
            plan.choice.keep_all, "; parked ", plan.choice.parked, "; resident ", plan.choice.resident,
            std::string(plan.choice.modulation_resident ? ", modulation too" : ""), "; ", plan.choice.together,
            " together");
    }
    CHECK(std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() <
          12); // six plans, on a busy machine
    const MemoryPlan rich = plan_on_card(flux_dev(24 * kGiB));
    CHECK(rich.choice.keep_all == 57);
    CHECK(rich.choice.resident == 57);
    CHECK(rich.time.again_ms == 0);
}

TEST_CASE("card: the figures of the paper model, part by part") {
    // 8.607 billion parameters in 57 blocks and 3.228 in their modulation; 0.516 bytes each, and fp32 biases
    CardRun run = flux_dev(0);
    run.options.recompute = false;
    const MemoryPlan plan = plan_on_card(run);
    CHECK(
        static_cast<double>(plan.weight_bytes) == doctest::Approx((8.607e9 + 3.228e9 + 0.06e9) * 0.516).epsilon(0.01));
    CHECK(
        static_cast<double>(plan.state_bytes) ==
        doctest::Approx(4.67e6 * 4 * 2 + 4.67e6 * 2).epsilon(0.1)); // weights and gradients in fp32, two 8-bit moments
    // Everything kept at 10 and 9 matrices of tokens x 3072 a block, in bf16, and a working set of tens of them
    const double u = 1613.0 * 3072 * 2;
    CHECK(static_cast<double>(plan.arena_bytes) > (19 * 10 + 38 * 9) * u);
    CHECK(static_cast<double>(plan.arena_bytes) < (19 * 10 + 38 * 9 + 40) * u);
    // The paper model's 434 ms and 2 for the modulation's reading; it leaves out what low-rank products read, and that
    // a few rows of text wait for their weights: 13 more
    CHECK(plan.time.total_ms == doctest::Approx(449).epsilon(0.01));
    CHECK(plan.time.total_ms == doctest::Approx(plan.time.forward_ms + plan.time.backward_ms));
    run.options.recompute = true;
    CHECK(plan_on_card(run).time.total_ms > plan.time.total_ms + 100);
}

TEST_CASE("costs: of a block they are sums over the ops that a step records for it") {
    const CardRun run = flux_dev(0);
    TransformerLayers layers = layers_without_values(run.dims, run.quant);
    LoraBank::bind_without_values(layers, run.options);
    const TransformerShape shape{48, 32, 77};
    const DeviceProfile& profile = card_profile("4090");
    const StepCosts costs = step_costs(layers, shape, profile);
    REQUIRE(costs.blocks.size() == 57);
    constexpr auto input = static_cast<size_t>(BlockKeep::input), attention = static_cast<size_t>(BlockKeep::attention),
                   all = static_cast<size_t>(BlockKeep::all);
    const auto tokens = static_cast<double>(shape.tokens()), d = 3072.0, u = tokens * d * 2;
    const struct {
        const BlockCost& block;
        double linears; // squares of d
        double kept; // matrices: q, k, v, the attention's output, a double block's residual; the MLP of 4
    } kinds[] = {{costs.blocks[1], 12, 5}, {costs.blocks[40], 12, 4}};
    for (const auto& [block, linears, kept] : kinds) {
        const double products = 2 * linears * d * d * tokens / profile.matrix,
                     scores = 2 * 2 * tokens * tokens * d / profile.attention,
                     bytes = (16 + linears / 2) * u / profile.memory; // of elementwise ops and what LoRA reads, about
        CHECK(block.forward_ms > products + scores);
        CHECK(block.forward_ms == doctest::Approx(products + scores + bytes + block.widen_ms).epsilon(0.05));
        CHECK(block.backward_ms > products + 2.5 * scores * profile.attention / profile.attention_bwd + block.widen_ms);
        CHECK(block.kept_bytes[input] == 0); // the input belongs to the block before
        CHECK(static_cast<double>(block.kept_bytes[attention]) > kept * u); // and some rows of statistics and rank 16
        CHECK(static_cast<double>(block.kept_bytes[attention]) < (kept + 0.2) * u);
        CHECK(static_cast<double>(block.kept_bytes[all] - block.kept_bytes[attention]) >= 4 * u);
        CHECK(static_cast<double>(block.kept_bytes[all] - block.kept_bytes[attention]) < 4.1 * u);
        CHECK(block.again_ms[all] == 0);
        CHECK(block.again_ms[attention] > products / 4);
        CHECK(block.again_ms[input] > block.again_ms[attention] + scores);
    }
    CHECK(costs.blocks[1].forward_ms == costs.blocks[2].forward_ms); // to the bit: planners compare them
    CHECK(costs.blocks[0].backward_ms < costs.blocks[1].backward_ms); // nothing below it wants a gradient

    TrainOptions late = run.options;
    late.targets = {"single_transformer_blocks.37.attn.to_q"};
    TransformerLayers last = layers_without_values(run.dims, run.quant);
    LoraBank::bind_without_values(last, late);
    const StepCosts few = step_costs(last, shape, profile);
    CHECK(few.blocks[55].backward_ms == 0); // below the lowest that is trained
    CHECK(few.blocks[55].kept_bytes[all] == 0);
    CHECK(few.blocks[56].backward_ms > 0);
}

TEST_CASE("card: streaming decides the time where the bus is slow") {
    CardRun run = flux_dev(6 * kGiB);
    run.host_bytes = 0; // nothing is parked, and weights are fetched all the same
    const MemoryPlan fast = plan_on_card(run);
    CHECK(fast.choice.resident < 57);
    CHECK(
        fast.time.total_ms ==
        doctest::Approx(fast.time.forward_ms + fast.time.backward_ms).epsilon(0.01)); // fetching hides behind computing
    CHECK(fast.time.forward_fetch_ms > 100);
    CHECK(fast.choice.parked == 0);
    run.card = "h100";
    run.shapes = {{16, 16, 77}};
    run.options.memory_budget = 2 * kGiB;
    const MemoryPlan quick = plan_on_card(run);
    CHECK(quick.time.forward_fetch_ms > quick.time.forward_ms);
    CHECK(quick.time.total_ms > quick.time.forward_ms + quick.time.backward_ms);
    CHECK(quick.choice.together == 4); // of one accumulation, so that a fetch serves them all
    run.options.accumulation = 1;
    const MemoryPlan alone = plan_on_card(run);
    CHECK(alone.choice.together == 1);
    CHECK(alone.time.total_ms > 2 * quick.time.total_ms);
    run.card = "voodoo2";
    CHECK_THROWS_WITH_AS(plan_on_card(run), doctest::Contains("4090, 3090"), Error);
    run = flux_dev(kGiB);
    CHECK_THROWS_WITH_AS(plan_on_card(run), doctest::Contains("the least that this run can be planned into"), Error);
}

TEST_CASE("card: kept tensors that wait in host memory make a small card nearly as fast as a large one, and never "
          "slower than without") {
    const double unlimited = plan_on_card(flux_dev(24 * kGiB)).time.total_ms;
    for (const double gib : {1.75, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 12.0}) {
        CardRun run = flux_dev(static_cast<uint64_t>(gib * static_cast<double>(kGiB)));
        const MemoryPlan parking = plan_on_card(run);
        CHECK(parking.total_bytes() <= run.options.memory_budget);
        CHECK((parking.parked_bytes > 0) == (parking.choice.parked > 0));
        CHECK(parking.parked_bytes < run.host_bytes);
        CHECK(parking.choice.parked <= parking.choice.keep_attention + parking.choice.keep_all);
        run.host_bytes = 0;
        const MemoryPlan without = plan_on_card(run);
        CHECK(without.choice.parked == 0);
        CHECK(parking.time.total_ms <= without.time.total_ms + 1e-9);
        if (gib == 4) {
            CHECK(parking.time.total_ms < 1.15 * unlimited);
            CHECK(without.time.total_ms > 1.15 * unlimited);
            CHECK(parking.choice.parked > 0);
        }
        if (gib == 12) CHECK(parking.choice.parked == 0); // there is room for all
        const MemoryPlan::Choice& c = parking.choice;
        MESSAGE(gib, " GiB: ", parking.time.total_ms, " ms, ", static_cast<double>(parking.total_bytes()) / 1e9,
            " GB; keep input ", c.keep_input, ", attention ", c.keep_attention, ", all ", c.keep_all, "; parked ",
            c.parked, " in ", static_cast<double>(parking.parked_bytes) / 1e9, " GB; resident ", c.resident, "; ",
            parking.time.park_ms, " ms there, ", parking.time.backward_fetch_ms,
            " ms of fetching in backward; without ", without.time.total_ms);
    }
}

TEST_CASE("host memory: a container's limit counts, not the machine it runs on") {
    const std::filesystem::path dir =
        std::filesystem::temp_directory_path() / ("atelier-groups-" + std::to_string(getpid()));
    std::filesystem::create_directories(dir / "memory");
    const uint64_t machine = machine_memory((dir / "none").string());
    CHECK(machine > kGiB / 4);
    const auto limited = [&](const char* file, const char* text) {
        std::ofstream(dir / file) << text;
        const uint64_t bytes = machine_memory(dir.string());
        std::filesystem::remove(dir / file);
        return bytes;
    };
    CHECK(limited("memory.max", "104857600\n") == 104857600);
    CHECK(limited("memory.max", "max\n") == machine);
    CHECK(limited("memory/memory.limit_in_bytes", "104857600\n") == 104857600);
    CHECK(limited("memory/memory.limit_in_bytes", "9223372036854771712\n") == machine);
    std::filesystem::remove_all(dir);
}
