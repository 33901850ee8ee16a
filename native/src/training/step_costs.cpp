#include "training/step_costs.h"
#include "base/error.h"
#include "models/transformer.h"
#include "training/micro_program.h"
#include <algorithm>
#include <set>

namespace atelier {
namespace {

// One sample's pass through the blocks, recorded for its costs alone: never planned, never run.
struct Recorded {
    Program program;
    UnitStream stream{program};
    Program::Span modulation;
    std::vector<Program::Span> forward, backward; // by block; empty below the lowest trained one

    Recorded(const TransformerLayers& layers, const TransformerShape& shape, const TransformerTables& tables,
        DType activations, BlockKeep keep) {
        NetworkOptions options;
        options.training = true;
        options.keep.assign(layers.doubles.size() + layers.singles.size(), keep);
        options.activations = activations;
        TransformerNetwork network(program, layers, shape, tables, options);
        const ConditioningInputs inputs(program, layers.dims, 1);
        const auto matrix = [&](int64_t rows, int64_t cols) { return program.temp(rows, cols, "of a recorded pass"); };
        const Sym table = matrix(1, ModulationLayout(layers.dims).cols());
        stream.start();
        ConditioningTape tape = emit_embedding(program, layers, inputs.time, inputs.guidance, inputs.pooled, table);
        modulation = ops([&] { emit_modulation(program, stream, layers, {&tape, 1}, modulation_units(layers.dims)); });
        network.begin(matrix(shape.image_tokens(), layers.dims.in_channels),
            matrix(shape.text_tokens, layers.dims.joint_dim), table);
        for (int64_t b = 0; b < network.blocks(); ++b) forward.push_back(ops([&] { network.forward_block(b); }));
        network.end();
        network.begin_backward(matrix(shape.image_tokens(), layers.dims.out_channels));
        backward.resize(forward.size());
        for (int64_t b = network.blocks() - 1; b >= network.lowest(); --b)
            backward[static_cast<size_t>(b)] = ops([&] { network.backward_block(b); });
    }

    template <class F>
    Program::Span ops(F&& emit) const {
        const size_t begin = program.op_count();
        emit();
        return {begin, program.op_count()};
    }
    // The sum over some ops of f(cost).
    template <class F>
    double sum(Program::Span span, F&& f) const {
        double all = 0;
        for (size_t i = span.begin; i < span.end; ++i) all += f(program.op(i).cost());
        return all;
    }
};

void add_weights(StepCosts& costs, const TransformerLayers& layers, bool widens) {
    for (size_t b = 0; b < costs.blocks.size(); ++b) {
        BlockCost& block = costs.blocks[b];
        for (const Linear* linear : block_linears(layers, static_cast<int64_t>(b))) {
            block.weight_bytes += linear_bytes(*linear);
            block.widened_bytes += widened_linear_bytes(*linear);
        }
        if (!widens || block.widen_ms == 0) block.widened_bytes = 0, block.widen_ms = 0;
    }
    size_t index = 0;
    for_each_modulation(layers, [&](const Linear& norm, int64_t, int64_t) {
        if (index++ == modulation_units(layers.dims)) return; // norm_out, which belongs to no block
        costs.modulation_bytes += linear_bytes(norm);
        costs.modulation_slot_bytes = std::max(costs.modulation_slot_bytes, linear_bytes(norm));
    });
    uint64_t all = 0;
    for_each_linear(
        layers, [&](const std::string&, const Linear& linear, int64_t, int64_t) { all += linear_bytes(linear); });
    for_each_head_norm(layers, [&](const std::string&, const float*) {
        all += packed_bytes(static_cast<uint64_t>(layers.dims.head_dim) * sizeof(float));
    });
    costs.other_bytes = all + packed_bytes(ConstantPack::shared_code().size_bytes()) - costs.modulation_bytes;
    for (const BlockCost& block : costs.blocks) costs.other_bytes -= block.weight_bytes;
}

} // namespace

StepCosts step_costs(const TransformerLayers& layers, const TransformerShape& shape, const DeviceProfile& profile) {
    const auto time = [&](const OpCost& cost) { return profile.time(cost); };
    const auto widening = [&](const OpCost& cost) { return profile.widening_time(cost); };
    const TransformerTables tables(layers.dims, shape.text_tokens, shape.grid_h, shape.grid_w);
    StepCosts costs;
    costs.blocks.resize(layers.doubles.size() + layers.singles.size());
    for (const BlockKeep keep : {BlockKeep::all, BlockKeep::attention, BlockKeep::input}) {
        const Recorded pass(layers, shape, tables, profile.activations, keep);
        const auto level = static_cast<size_t>(keep);
        if (keep == BlockKeep::all) costs.modulation_ms = pass.sum(pass.modulation, time);
        for (size_t b = 0; b < costs.blocks.size(); ++b) {
            BlockCost& block = costs.blocks[b];
            const Program::Span forward = pass.forward[b], backward = pass.backward[b];
            if (keep == BlockKeep::all) {
                block.forward_ms = pass.sum(forward, time);
                block.backward_ms = pass.sum(backward, time);
                block.widen_ms = pass.sum(forward, widening);
                if (block.backward_ms > 0) block.widen_ms = std::min(block.widen_ms, pass.sum(backward, widening));
            }
            block.again_ms[level] = pass.sum(backward, time) - block.backward_ms;
            block.kept_bytes[level] = pass.program.bytes_carried(forward, backward);
        }
    }
    add_weights(costs, layers, profile.widens);
    return costs;
}

PlannerTask planner_task(const StepPlanRequest& request, int64_t together) {
    const auto by_tokens = [](const TransformerShape& a, const TransformerShape& b) { return a.tokens() < b.tokens(); };
    StepCosts costs = step_costs(
        request.layers, *std::max_element(request.shapes.begin(), request.shapes.end(), by_tokens), request.profile);
    const auto samples = static_cast<double>(together);
    for (BlockCost& block : costs.blocks) {
        block.forward_ms *= samples;
        block.backward_ms *= samples;
        block.widen_ms *= samples;
        for (double& ms : block.again_ms) ms *= samples;
        for (uint64_t& bytes : block.kept_bytes) bytes *= static_cast<uint64_t>(together);
    }
    PlannerTask task;
    task.budget_bytes = request.budget_bytes;
    task.fixed_bytes = request.fixed_bytes + costs.other_bytes;
    task.modulation_bytes = costs.modulation_bytes;
    task.modulation_slot_bytes = costs.modulation_slot_bytes;
    task.modulation_ms = costs.modulation_ms * samples;
    task.blocks = std::move(costs.blocks);
    task.host_copy = request.profile.host_copy;
    task.host_bytes = request.host_bytes;
    MicroProgramOptions options;
    options.accumulation = request.accumulation;
    options.activations = request.profile.activations;
    task.program_bytes = [layers = request.layers, shapes = request.shapes, options, together](
                             const MemoryChoice& choice) mutable {
        options.keep = choice.keep;
        options.parked = choice.parked;
        std::set<std::pair<int64_t, int64_t>> seen; // the arena depends on the tokens alone, not on how they lie
        ProgramBytes most;
        for (const TransformerShape& shape : shapes) {
            if (!seen.emplace(shape.image_tokens(), shape.text_tokens).second) continue;
            const TransformerTables tables(layers.dims, shape.text_tokens, shape.grid_h, shape.grid_w);
            for (const int64_t samples : group_sizes(together)) {
                options.together = samples;
                MicroProgram micro(layers, shape, tables, options);
                most = {std::max(most.arena, micro.program.plan().arena_bytes),
                    std::max(most.parked, micro.parking.host_bytes())};
            }
        }
        return most;
    };
    return task;
}

StepPlan plan_step(const StepPlanRequest& request) {
    StepPlan best{plan_memory(planner_task(request)), 1};
    const auto fetches = [](const StepTime& t) { return t.forward_transfer_ms + t.backward_transfer_ms > 0; };
    for (int64_t together = 2; together <= std::min(request.accumulation, kMostTogether) && fetches(best.memory.time);
        together *= 2) {
        StepPlan next;
        try {
            next = {plan_memory(planner_task(request, together)), together};
        } catch (const Error& error) {
            if (error.code() != ErrorCode::resource_exhausted) throw;
            break;
        }
        StepTime& t = next.memory.time;
        for (double* ms :
            {&t.forward_ms, &t.backward_ms, &t.again_ms, &t.forward_transfer_ms, &t.backward_transfer_ms, &t.park_ms})
            *ms /= static_cast<double>(together);
        if (t.total_ms() >= best.memory.time.total_ms()) break;
        best = std::move(next);
    }
    return best;
}

} // namespace atelier
