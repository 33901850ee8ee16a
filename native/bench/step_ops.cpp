#include "step_ops.h"
#include "engine/transformer.h"
#include "memory/transfer.h"
#include "models/flux/weight_units.h"
#include "op_clock.h"
#include "op_table.h"
#include "training/lora_bank.h"
#include "training/micro_program.h"
#include <algorithm>

namespace atelier::bench {
namespace {

void write_inputs(Memory& memory, const MicroProgram& micro, const TransformerDims& dims, std::byte* arena) {
    const MicroProgram::Sample& sample = micro.samples.front();
    const Program::Resolver at = micro.program.resolver(arena);
    uint32_t seed = 1;
    for (const Sym& input : {sample.latents, sample.noise, sample.prompt})
        write_view(memory, at(input), values(input.rows * input.cols, ++seed).data());
    const float sigma = 0.5f, weight = 1;
    write_view(memory, at(sample.sigma), &sigma);
    write_view(memory, at(sample.weight), &weight);
    sample.conditioning.fill(memory, at, 0, sigma, 1, values(dims.pooled_dim, ++seed));
}

double median(std::vector<double> all) {
    std::sort(all.begin(), all.end());
    return all[all.size() / 2];
}

} // namespace

void print_ops(Transformer& model, const Shape& sizes, const MeasuredStep& step) {
    Transformer::Impl& flux = *model.impl;
    Memory& memory = flux.memory();
    FluxLayers layers = flux.weights.layers();
    TrainOptions options;
    options.rank = step.rank;
    const LoraBank bank(memory, layers, options);
    bank.bind(layers);
    const FluxShape shape{sizes.grid_h, sizes.grid_w, sizes.text};
    const FluxTables tables(layers.dims, shape.text_tokens, shape.grid_h, shape.grid_w);
    MicroProgramOptions of;
    of.accumulation = step.accumulation;
    of.activations = flux.ops().activations();
    of.keep.assign(layers.doubles.size() + layers.singles.size(), BlockKeep::all);
    MicroProgram micro(layers, shape, tables, of);

    const auto placed = flux.place(std::vector(flux.packs.units.size(), Residence::resident));
    const Arena arena(memory, micro.program.plan().arena_bytes);
    Constants constants(memory, std::vector{&placed->constants()});
    tables.add_to(constants);
    constants.place();
    micro.connect(*placed, constants, nullptr);

    std::vector<std::vector<double>> by_op(micro.program.op_count());
    for (int run = -1; run < step.runs; ++run) { // the first chooses algorithms and wakes the device up
        write_inputs(memory, micro, layers.dims, arena.data());
        const std::unique_ptr<OpClock> clock = op_clock(memory);
        micro.program.run(flux.ops(), arena.data(), {}, [&](size_t) { clock->mark(); });
        const std::vector<double> ms = clock->milliseconds();
        for (size_t i = 0; run >= 0 && i < by_op.size(); ++i) by_op[i].push_back(ms[i]);
    }
    OpTable table;
    for (size_t i = 0; i < by_op.size(); ++i) table.add(micro.program.op(i), median(by_op[i]));
    table.print("micro-step on " + flux.device->description() + ", each op's median of " + std::to_string(step.runs));
}

} // namespace atelier::bench
