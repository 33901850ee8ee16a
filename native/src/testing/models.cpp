// Whole passes of a transformer, and what a trainer holds inside.
#include "atelier/testing.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/trainer.h"
#include "models/transformer.h"
#include "program/records/ends.h"

namespace atelier::testing {
namespace {

// The engine's own sets all have the shape (rows, cols).
Tensor read_tensor(Memory& memory, const View& view) {
    return {{view.rows, view.cols}, read_rows(memory, view, "transformer")};
}

} // namespace

std::shared_ptr<Transformer> random_transformer(std::shared_ptr<Device> device, const TransformerDims& dims,
    BaseQuant quant, uint64_t seed, const EngineProgress& progress) {
    const int threads = device->impl->ops->threads();
    TransformerWeights weights = TransformerWeights::random(dims, quant, seed, threads, internal_progress(progress));
    return Transformer::of(std::make_unique<Transformer::Impl>(std::move(device), std::move(weights)));
}

TensorMap forward(Transformer& model, const ForwardInput& input) {
    Transformer::Impl* const impl = model.impl.get();
    const TransformerDims& dims = impl->dims();
    require(!input.prompt_embeds.empty() && static_cast<int64_t>(input.prompt_embeds.size()) % dims.joint_dim == 0,
        ErrorCode::invalid_argument, "prompt_embeds has ", input.prompt_embeds.size(), " values, expected rows of ",
        dims.joint_dim);
    const TransformerShape shape{
        input.grid_h, input.grid_w, static_cast<int64_t>(input.prompt_embeds.size()) / dims.joint_dim};
    check_shape(shape);
    check_input(input.latents, shape.image_tokens() * dims.in_channels, "latents");
    check_input(input.prompt_embeds, shape.text_tokens * dims.joint_dim, "prompt_embeds");
    check_input(input.pooled, dims.pooled_dim, "pooled");

    Program program;
    const TransformerTables tables(dims, shape.text_tokens, shape.grid_h, shape.grid_w);
    NetworkOptions options;
    options.capture = input.capture_blocks;
    options.activations = impl->ops().activations();
    UnitStream stream(program);
    TransformerNetwork network(program, impl->weights.layers(), shape, tables, options);
    const Sym latents = program.persistent(shape.image_tokens(), dims.in_channels, "latents");
    const Sym prompt = program.persistent(shape.text_tokens, dims.joint_dim, "prompt_embeds");
    const ConditioningInputs conditioning(program, dims, 1);
    program.emit(op::Inputs{{conditioning.all()}});
    const Sym table = program.temp(1, ModulationLayout(dims).cols(), "modulation");
    stream.start();
    ConditioningTape tape = emit_embedding(
        program, impl->weights.layers(), conditioning.time, conditioning.guidance, conditioning.pooled, table);
    network.begin(latents, prompt, table);
    TransformerNetwork* const networks[] = {&network};
    const Sym prediction = emit_forward(program, stream, impl->weights.layers(), networks, {&tape, 1}).front();
    program.emit(op::Outputs{{{prediction}}});
    program.emit(op::Outputs{{network.captured()}});

    const auto placed = impl->place(impl->residence_beside(program.plan().arena_bytes, 0));
    stream.connect(*placed);
    Constants constants(impl->memory(), {&placed->constants()});
    tables.add_to(constants);
    constants.place();
    program.read_from(constants);

    Memory& memory = impl->memory();
    TensorMap result;
    run_once(
        *impl->device, program,
        [&](const Program::Resolver& at) {
            write_view(memory, at(latents), input.latents.data());
            write_view(memory, at(prompt), input.prompt_embeds.data());
            conditioning.fill(memory, at, 0, input.sigma, input.guidance, input.pooled);
        },
        [&](const Program::Resolver& at) {
            result["out"] = read_tensor(memory, at(prediction));
            for (size_t i = 0; i < network.captured().size(); ++i) {
                const Sym& joint = network.captured()[i];
                if (static_cast<int64_t>(i) < dims.num_layers) {
                    const std::string name = "block_double_" + std::to_string(i);
                    result[name + "_txt"] = read_tensor(memory, at(joint.row_range(0, shape.text_tokens)));
                    result[name + "_img"] =
                        read_tensor(memory, at(joint.row_range(shape.text_tokens, shape.image_tokens())));
                } else {
                    result["block_single_" + std::to_string(static_cast<int64_t>(i) - dims.num_layers)] =
                        read_tensor(memory, at(joint));
                }
            }
        });
    return result;
}

TensorMap gradients(const Trainer& trainer) { return trainer.impl->bank.gradients(); }

Tensor last_prediction(const Trainer& trainer) {
    const Trainer::Impl& of = *trainer.impl;
    require(of.last_program != nullptr, ErrorCode::invalid_argument, "last_prediction before a micro-step");
    return read_tensor(of.base.memory(), of.last_program->program.resolver(of.arena->data())(of.last));
}

void set_adapter(const Trainer& trainer, const Adapter& adapter) {
    require(trainer.impl->accumulated == 0 && !trainer.impl->broken, ErrorCode::invalid_argument,
        "set_adapter between micro-steps of one optimizer step: their gradients are for other weights");
    trainer.impl->bank.set_adapter(adapter);
}

} // namespace atelier::testing
