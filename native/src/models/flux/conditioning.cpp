#include "models/flux/network.h"
#include "models/flux/weight_units.h"
#include "program/records/blocks.h"
#include "program/records/elements.h"

namespace atelier {
namespace {

bool trained(const EmbedderMlp& mlp) { return mlp.first.trained() || mlp.second.trained(); }

ConditioningTape::Mlp emit_mlp(Program& program, const EmbedderMlp& mlp, const Sym& input, const Sym& out) {
    ConditioningTape::Mlp tape;
    const int64_t width = mlp.first.w.rows;
    tape.input = input;
    tape.hidden = program.temp(input.rows, width, "embedder hidden");
    if (trained(mlp)) tape.pre = program.temp(input.rows, width, "embedder pre");
    tape.xa_first = emit_linear(program, mlp.first, input, tape.hidden, Activation::silu, tape.pre);
    tape.xa_second = emit_linear(program, mlp.second, tape.hidden, out);
    return tape;
}

void emit_mlp_bwd(Program& program, const EmbedderMlp& mlp, const ConditioningTape::Mlp& tape, const Sym& dout) {
    if (!trained(mlp)) return;
    const Sym dhidden = mlp.first.trained() ? program.temp(dout.rows, mlp.first.w.rows, "embedder dhidden") : Sym{};
    emit_linear_bwd(program, mlp.second, tape.hidden, tape.xa_second, dout, dhidden);
    if (!dhidden) return;
    program.emit(op::ActivateBwd{dhidden, tape.pre, Activation::silu, dhidden});
    emit_linear_bwd(program, mlp.first, tape.input, tape.xa_first, dhidden, {});
}

} // namespace

bool embedders_trained(const FluxLayers& layers) {
    return trained(layers.time) || trained(layers.text) || (layers.dims.guidance && trained(layers.guidance));
}

ConditioningTape emit_embedding(Program& program, const FluxLayers& layers, const Sym& time, const Sym& guidance,
    const Sym& pooled, const Sym& table) {
    ConditioningTape tape;
    tape.table = table;
    const int64_t rows = time.rows, d = layers.width();
    tape.embedding = program.temp(rows, d, "embedding");
    tape.activated = program.temp(rows, d, "embedding activated");
    tape.time = emit_mlp(program, layers.time, time, tape.embedding);
    const Sym part = program.temp(rows, d, "embedding part");
    if (guidance) {
        tape.guidance = emit_mlp(program, layers.guidance, guidance, part);
        program.emit(op::Add{tape.embedding, part, tape.embedding});
    }
    tape.text = emit_mlp(program, layers.text, pooled, part);
    program.emit(op::Add{tape.embedding, part, tape.embedding});
    program.emit(op::Activate{tape.embedding, Activation::silu, tape.activated});
    return tape;
}

void emit_modulation(
    Program& program, UnitStream& stream, const FluxLayers& layers, std::span<ConditioningTape> samples, size_t end) {
    size_t index = 0;
    for_each_modulation(layers, [&](const Linear& linear, int64_t column, int64_t width) {
        const size_t i = index++;
        if (i < samples.front().xa.size() || i >= end) return;
        stream.use(modulation_unit(layers.dims, i), [&] {
            for (ConditioningTape& tape : samples)
                tape.xa.push_back(emit_linear(program, linear, tape.activated, tape.table.col_range(column, width)));
        });
    });
}

ConditioningTape emit_conditioning(Program& program, UnitStream& stream, const FluxLayers& layers, const Sym& time,
    const Sym& guidance, const Sym& pooled, const Sym& table) {
    ConditioningTape tape = emit_embedding(program, layers, time, guidance, pooled, table);
    emit_modulation(program, stream, layers, {&tape, 1}, modulation_units(layers.dims) + 1);
    return tape;
}

void emit_conditioning_bwd(Program& program, UnitStream& stream, const FluxLayers& layers,
    std::span<const ConditioningTape> samples, std::span<const Sym> dtables) {
    const bool below = embedders_trained(layers);
    std::vector<Sym> d(samples.size());
    if (below)
        for (Sym& gradient : d) gradient = program.temp(1, layers.width(), "dembedding");
    bool accumulate = false;
    size_t index = 0;
    for_each_modulation(layers, [&](const Linear& linear, int64_t column, int64_t width) {
        const size_t i = index++;
        const auto emit = [&] {
            for (size_t s = 0; s < samples.size(); ++s)
                emit_linear_bwd(program, linear, samples[s].activated, samples[s].xa[i],
                    dtables[s].col_range(column, width), d[s], accumulate);
        };
        below ? stream.use(modulation_unit(layers.dims, i), emit)
              : emit(); // gradients of low-rank branches alone read no weight
        accumulate = true;
    });
    if (!below) return;
    for (size_t s = 0; s < samples.size(); ++s) {
        const ConditioningTape& tape = samples[s];
        program.emit(op::ActivateBwd{d[s], tape.embedding, Activation::silu, d[s]});
        emit_mlp_bwd(program, layers.time, tape.time, d[s]);
        if (layers.dims.guidance) emit_mlp_bwd(program, layers.guidance, tape.guidance, d[s]);
        emit_mlp_bwd(program, layers.text, tape.text, d[s]);
    }
}

} // namespace atelier
