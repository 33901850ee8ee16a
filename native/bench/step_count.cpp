#include "step_count.h"
#include "counting.h"
#include "kernel_names.h"
#include "memory/placed_units.h"
#include "models/flux/pass.h"
#include "models/flux/weight_units.h"
#include "op_table.h"
#include "ops/cuda/backend.h"
#include "program/records/elements.h"
#include "program/records/ends.h"
#include "training/lora_bank.h"
#include "training/micro_program.h"

namespace atelier::bench {
namespace {

namespace gpu = cuda_emulated;

// A product of the library: one launch of its own, as far as anybody can see.
class CountedProduct final : public gpu::MatrixProduct {
public:
    explicit CountedProduct(std::vector<Tally>& all) : all_(all) {}
    void multiply(cudaStream_t, const gpu::Product& p) override {
        gpu::check_product(p);
        const double in = p.type == DType::f8_e4m3 ? 1 : 2, out = static_cast<double>(dtype_size(p.c_type));
        const auto m = static_cast<double>(p.m), n = static_cast<double>(p.n), k = static_cast<double>(p.k);
        all_.push_back({1, 1, in * (m * k + n * k) + out * m * n * (p.accumulate ? 2 : 1), 2 * m * n * k, 0});
    }

private:
    std::vector<Tally>& all_;
};

// Weights, branches and vectors at addresses of the counted card.
void give_addresses(FluxLayers& layers, Memory& memory) {
    const auto floats = [&](int64_t count) {
        return static_cast<float*>(memory.reserve(static_cast<uint64_t>(count) * 4));
    };
    for_each_linear(layers, [&](const std::string&, Linear& linear, int64_t, int64_t out) {
        void* const data = memory.reserve(weight_bytes(linear.w));
        if (linear.w.format == WeightFormat::nf4) linear.w.nf4.packed = static_cast<const uint8_t*>(data);
        else linear.w.dense = data;
        linear.bias = floats(out);
        for (View* part : {&linear.lora.a, &linear.lora.b, &linear.lora.da, &linear.lora.db})
            if (part->rows) part->data = floats(part->size());
    });
    for_each_head_norm(layers, [&](const std::string&, const float*& norm) { norm = floats(layers.dims.head_dim); });
}

// One denoising step as DenoisePrograms records it.
struct PictureStep {
    Program program;
    UnitStream stream{program};
    std::unique_ptr<FluxNetwork> network;
    op::Sigmas sigmas{1.0f, 0.9f};

    PictureStep(const FluxLayers& layers, const FluxShape& shape, const FluxTables& tables, void* modulation) {
        NetworkOptions options;
        options.activations = DType::bf16;
        network = std::make_unique<FluxNetwork>(program, layers, shape, tables, options);
        const Sym row = program.external(1, ModulationLayout(layers.dims).cols(), "modulation"),
                  latents = program.persistent(shape.image_tokens(), layers.dims.in_channels, "latents"),
                  prompt = program.persistent(shape.text_tokens, layers.dims.joint_dim, "prompt_embeds");
        stream.start();
        network->begin(latents, prompt, row);
        FluxNetwork* const networks[] = {network.get()};
        const Sym velocity = emit_forward(program, stream, layers, networks, {}).front();
        program.emit(op::EulerStep{latents, velocity, &sigmas, latents});
        program.plan();
        program.bind(row, modulation);
    }
};

// Every unit on the card, none of them with anything in it: the weights lie where the layers say.
std::unique_ptr<PlacedUnits> all_resident(Memory& memory, const FluxLayers& layers) {
    UnitPacks packs;
    const size_t units = modulation_units(layers.dims) + layers.doubles.size() + layers.singles.size();
    for (size_t i = 0; i < units; ++i) packs.units.emplace_back();
    return std::make_unique<PlacedUnits>(memory, packs, std::vector(units, Residence::resident));
}

// What the launches of one op are, as kernels with bytes and FLOPs.
class Counter {
public:
    explicit Counter(const Program& program) : program_(program) {}

    void before(size_t op) {
        if (op > 0) end(program_.op(op - 1));
        launches_.clear();
        products_.clear();
    }
    void launched(const emulated::Launch& launch) { launches_.push_back(launch); }
    std::vector<Tally>& products() { return products_; }
    const OpTable& table() const { return table_; }

private:
    void end(const Program::Op& op) {
        const int64_t launched = static_cast<int64_t>(launches_.size() + products_.size());
        if (launched == 0) return; // waits, or names what is read and written
        table_.add(op);
        table_.ops[op.name()].launches += launched;
        const OpCost cost = op.cost();
        double left = cost.flops;
        for (const Tally& product : products_)
            table_.kernels[{op.name(), "product"}].add(product), left -= product.flops;
        double named = 0;
        for (const emulated::Launch& launch : launches_) named += launch.bytes;
        const bool alone = launched == 1; // then its bytes are the op's, what is only pointed to among them
        for (const emulated::Launch& launch : launches_) {
            // Of what the library did not multiply, each kernel's share follows what it reads and writes.
            const double share = alone ? 1 : named > 0 ? launch.bytes / named : 0;
            const Tally kernel{
                1, 1, alone ? cost.bytes + cost.widening : launch.bytes, products_.empty() ? left * share : 0, 0};
            table_.kernels[{op.name(), launch.kernel ? names_.of(launch.kernel) : "clearing or copying"}].add(kernel);
        }
    }

    const Program& program_;
    KernelNames names_;
    OpTable table_;
    std::vector<emulated::Launch> launches_;
    std::vector<Tally> products_;
};

// The backend over the counted card, for as long as it lives.
class CountedCard {
public:
    explicit CountedCard(bool fp8) {
        emulated::count_launches([this](const emulated::Launch& launch) {
            if (counter_) counter_->launched(launch);
        });
        ops_ = gpu::make_backend("counted", 0, {}, DType::bf16, fp8,
            [this](void*, uint64_t) { return std::make_unique<CountedProduct>(products_); });
    }
    ~CountedCard() {
        ops_.reset();
        emulated::count_launches({});
    }
    CountedCard(const CountedCard&) = delete;
    CountedCard& operator=(const CountedCard&) = delete;

    Memory& memory() { return ops_->memory(); }
    OpTable count(Program& program) {
        Counter counter(program);
        counter_ = &counter;
        auto* const arena = static_cast<std::byte*>(memory().reserve(program.plan().arena_bytes));
        program.run(*ops_, arena, {}, [&](size_t op) {
            counter.products() = std::move(products_);
            products_.clear();
            counter.before(op);
        });
        counter_ = nullptr;
        return counter.table();
    }

private:
    std::vector<Tally> products_; // of the op under way
    Counter* counter_ = nullptr;
    std::unique_ptr<Ops> ops_;
};

} // namespace

void print_count(const Counted& what, const std::string& title) {
    CountedCard card(what.fp8);
    FluxLayers layers = layers_without_values(what.shape.dims(), what.quant);
    const FluxShape shape{what.shape.grid_h, what.shape.grid_w, what.shape.text};
    const FluxTables tables(layers.dims, shape.text_tokens, shape.grid_h, shape.grid_w);
    const auto units = all_resident(card.memory(), layers);
    if (what.backward) {
        TrainOptions options;
        options.rank = what.rank;
        LoraBank::bind_without_values(layers, options);
        give_addresses(layers, card.memory());
        MicroProgramOptions micro;
        micro.accumulation = what.accumulation;
        micro.activations = DType::bf16;
        micro.keep.assign(layers.doubles.size() + layers.singles.size(), BlockKeep::all);
        MicroProgram program(layers, shape, tables, micro);
        program.stream.connect(*units);
        card.count(program.program).print(title);
    } else {
        give_addresses(layers, card.memory());
        const int64_t cols = ModulationLayout(layers.dims).cols();
        PictureStep step(layers, shape, tables, card.memory().reserve(static_cast<uint64_t>(cols) * 4));
        step.stream.connect(*units);
        card.count(step.program).print(title);
    }
}

} // namespace atelier::bench
