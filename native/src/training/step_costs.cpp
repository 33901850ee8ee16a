#include "training/step_costs.h"
#include "base/error.h"
#include "training/micro_program.h"
#include <algorithm>
#include <set>

namespace atelier {
namespace {

// Matrices of rows x d that fused kernels read and write in a block, products aside: forward, backward, and for the
// MLP's first linear made again. Estimates.
constexpr double kForwardTraffic = 16, kBackwardTraffic = 26, kMlpAgainTraffic = 3;
constexpr double kWidened = 2; // bytes of a weight's element as the products take it

struct Costing {
    const FluxShape& shape;
    const DeviceProfile& profile;
    double d;

    double tokens() const { return static_cast<double>(shape.tokens()); }
    double traffic(double matrices) const {
        return matrices * tokens() * d * static_cast<double>(dtype_size(profile.activations)) / profile.memory;
    }
    double attention(double rate, double products) const { return products * 2 * tokens() * tokens() * d / rate; }
    // One pass over linears whose rows are those of the tokens given: the products, and widening the weights where they
    // are not yet.
    double pass(std::initializer_list<const Linear*> linears, int64_t rows) const {
        double ms = 0;
        for (const Linear* l : linears) {
            const double count = static_cast<double>(l->w.rows) * static_cast<double>(l->w.cols);
            ms += 2 * count * static_cast<double>(rows) / profile.matrix + widening(*l);
        }
        return ms;
    }
    double widening(const Linear& l) const {
        if (l.w.format != WeightFormat::nf4) return 0;
        return (static_cast<double>(weight_bytes(l.w)) +
                   kWidened * static_cast<double>(l.w.rows) * static_cast<double>(l.w.cols)) /
               profile.memory;
    }
};

// Of a block's linears, with their weights kept as they are and widened.
struct WeightSizes {
    uint64_t bytes = 0, widened = 0;
    double widen_ms = 0;
    void add(const Costing& c, std::initializer_list<const Linear*> linears) {
        for (const Linear* l : linears) {
            bytes += linear_bytes(*l);
            widened += widened_linear_bytes(*l);
            widen_ms += c.widening(*l);
        }
    }
};

// linears: the time of one pass over all of them, over those that a tape made again runs, and over the MLP's first.
BlockCost block_cost(
    const Costing& c, double linears, double tape, double mlp_first, uint64_t attention_kept, uint64_t all_kept) {
    BlockCost block;
    const double attention = c.attention(c.profile.attention, 2);
    block.forward_ms = linears + attention + c.traffic(kForwardTraffic);
    block.backward_ms = linears + c.attention(c.profile.attention_bwd, 5) + c.traffic(kBackwardTraffic);
    block.again_ms = {tape + attention + c.traffic(kForwardTraffic), mlp_first + c.traffic(kMlpAgainTraffic), 0};
    block.kept_bytes = {0, attention_kept, all_kept};
    return block;
}

} // namespace

StepCosts step_costs(const FluxLayers& layers, const FluxShape& shape, const DeviceProfile& profile) {
    const Costing c{shape, profile, static_cast<double>(layers.width())};
    const int64_t T = shape.text_tokens, I = shape.image_tokens(), S = shape.tokens();
    const uint64_t u = static_cast<uint64_t>(S * layers.width()) * dtype_size(profile.activations),
                   lse = static_cast<uint64_t>(layers.dims.heads * S) * sizeof(float), mlp = kMlpRatio * u;
    const bool conditioning = embedders_trained(layers);
    const auto lowest = static_cast<size_t>(lowest_trained_block(layers));
    StepCosts costs;
    const auto modulation = [&](const Linear& norm) {
        costs.modulation_bytes += linear_bytes(norm);
        costs.modulation_slot_bytes = std::max(costs.modulation_slot_bytes, linear_bytes(norm));
        costs.modulation_ms +=
            static_cast<double>(weight_bytes(norm.w)) / profile.memory; // one row: as slow as its weight is read
    };
    const auto add = [&](BlockCost block, const WeightSizes& weights) {
        if (costs.blocks.size() < lowest) { // forward alone
            block.backward_ms = 0;
            block.again_ms = {};
            block.kept_bytes = {};
        }
        block.weight_bytes = weights.bytes;
        if (profile.widens && weights.widen_ms > 0) {
            block.widened_bytes = weights.widened;
            block.widen_ms = weights.widen_ms;
        }
        costs.blocks.push_back(block);
    };
    for (const DoubleBlock& b : layers.doubles) {
        double linears = 0, tape = 0, mlp_first = 0;
        uint64_t gates = 0;
        WeightSizes weights;
        for (const auto& [side, rows] : {std::pair{&b.img, I}, std::pair{&b.txt, T}}) {
            linears += c.pass({&side->q, &side->k, &side->v, &side->out, &side->up, &side->down}, rows);
            tape += c.pass({&side->q, &side->k, &side->v, &side->out, &side->up}, rows);
            mlp_first += c.pass({&side->up}, rows);
            weights.add(c, {&side->q, &side->k, &side->v, &side->out, &side->up, &side->down});
            if (conditioning || side->norm.trained())
                gates += 2 * u * static_cast<uint64_t>(rows) / static_cast<uint64_t>(S); // its two branches
            modulation(side->norm);
        }
        add(block_cost(c, linears, tape, mlp_first, 5 * u + lse + gates, 5 * u + lse + gates + mlp), weights);
    }
    for (const SingleBlock& b : layers.singles) {
        const uint64_t gates = conditioning || b.norm.trained() ? u : 0;
        modulation(b.norm);
        WeightSizes weights;
        weights.add(c, {&b.q, &b.k, &b.v, &b.mlp, &b.out});
        add(block_cost(c, c.pass({&b.q, &b.k, &b.v, &b.mlp, &b.out}, S), c.pass({&b.q, &b.k, &b.v, &b.mlp}, S),
                c.pass({&b.mlp}, S), 4 * u + lse + gates, 4 * u + lse + gates + mlp),
            weights);
    }
    uint64_t all = 0;
    for_each_linear(
        layers, [&](const std::string&, const Linear& linear, int64_t, int64_t) { all += linear_bytes(linear); });
    for_each_head_norm(layers, [&](const std::string&, const float*) {
        all += packed_bytes(static_cast<uint64_t>(layers.dims.head_dim) * sizeof(float));
    });
    costs.other_bytes = all + packed_bytes(ConstantPack::shared_code().size_bytes()) - costs.modulation_bytes;
    for (const BlockCost& block : costs.blocks) costs.other_bytes -= block.weight_bytes;
    return costs;
}

PlannerTask planner_task(const StepPlanRequest& request, int64_t together) {
    const auto by_tokens = [](const FluxShape& a, const FluxShape& b) { return a.tokens() < b.tokens(); };
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
        for (const FluxShape& shape : shapes) {
            if (!seen.emplace(shape.image_tokens(), shape.text_tokens).second) continue;
            const FluxTables tables(layers.dims, shape.text_tokens, shape.grid_h, shape.grid_w);
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
