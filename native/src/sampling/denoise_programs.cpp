#include "sampling/denoise_programs.h"
#include "memory/transfer.h"
#include "program/records/ends.h"
#include <algorithm>

namespace atelier {
DenoisePrograms::DenoisePrograms(
    const TransformerLayers& layers, const TransformerShape& shape, int64_t steps, DType activations)
    : dims_(layers.dims), shape_(shape), steps_(steps), table_cols_(ModulationLayout(layers.dims).cols()),
      table_bytes_((static_cast<uint64_t>(steps * table_cols_) * sizeof(float) + Program::kAlignment - 1) /
                   Program::kAlignment * Program::kAlignment),
      tables_(layers.dims, shape.text_tokens, shape.grid_h, shape.grid_w),
      inputs_(conditioning_.list, layers.dims, steps) {
    Program& first = conditioning_.list;
    all_rows_ = first.external(steps, table_cols_, "modulation of all steps");
    first.emit(op::Inputs{{inputs_.all()}});
    conditioning_.stream.start();
    emit_conditioning(first, conditioning_.stream, layers, inputs_.time, inputs_.guidance, inputs_.pooled, all_rows_);
    conditioning_.program = first.plan();

    Program& second = step_.list;
    NetworkOptions options;
    options.activations = activations;
    network_ = std::make_unique<TransformerNetwork>(second, layers, shape, tables_, options);
    row_ = second.external(1, table_cols_, "modulation");
    latents_ = second.persistent(shape.image_tokens(), layers.dims.in_channels, "latents");
    prompt_ = second.persistent(shape.text_tokens, layers.dims.joint_dim, "prompt_embeds");
    step_.stream.start();
    network_->begin(latents_, prompt_, row_);
    TransformerNetwork* const networks[] = {network_.get()};
    const Sym velocity = emit_forward(second, step_.stream, layers, networks, {}).front();
    second.emit(op::EulerStep{latents_, velocity, &sigmas_, latents_});
    step_.program = second.plan();
}

void DenoisePrograms::connect(Memory& memory, const PlacedUnits& weights, const Constants& own) {
    constants_ = std::make_unique<Constants>(memory, std::vector{&own, &weights.constants()});
    tables_.add_to(*constants_);
    constants_->place();
    for (Planned* part : {&conditioning_, &step_}) {
        part->list.read_from(*constants_);
        part->stream.connect(weights);
    }
}

uint64_t DenoisePrograms::run(
    Ops& ops, std::byte* memory, const Input& input, std::span<float> latents, const Progress& progress) {
    float* table = reinterpret_cast<float*>(memory);
    std::byte* arena = memory + table_bytes_;
    conditioning_.list.bind(all_rows_, table);
    const Program::Resolver first = conditioning_.list.resolver(arena);
    for (int64_t i = 0; i < steps_; ++i)
        inputs_.fill(ops.memory(), first, i, input.sigmas[static_cast<size_t>(i)], input.guidance, input.pooled);
    uint64_t high_water = conditioning_.list.run(ops, arena, progress);

    const Program::Resolver second = step_.list.resolver(arena);
    write_view(ops.memory(), second(prompt_), input.prompt_embeds.data());
    write_view(ops.memory(), second(latents_), latents.data());
    for (int64_t i = 0; i < steps_; ++i) {
        sigmas_ = {input.sigmas[static_cast<size_t>(i)], input.sigmas[static_cast<size_t>(i) + 1]};
        step_.list.bind(row_, table + i * table_cols_);
        high_water = std::max(high_water, step_.list.run(ops, arena, progress));
        progress(static_cast<double>(i + 1), static_cast<double>(steps_), "denoising");
    }
    read_view(ops.memory(), second(latents_), latents.data());
    return table_bytes_ + high_water;
}

} // namespace atelier
