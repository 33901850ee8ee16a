#include "engine/flux_transformer.h"
#include "engine/one_shot.h"
#include "models/flux/pass.h"
#include "models/flux/weight_units.h"
#include "program/records/ends.h"

namespace atelier {

FluxTransformer::FluxTransformer() = default;
FluxTransformer::~FluxTransformer() = default;

FluxTransformer::Impl::Impl(std::shared_ptr<Device> on, FluxWeights w)
    : device(std::move(on)), weights(std::move(w)), packs(weight_units(weights.layers())) {
    for_each_linear(weights.layers(),
        [&](const std::string& path, const Linear&, int64_t in, int64_t out) { modules.push_back({path, in, out}); });
}

std::shared_ptr<const PlacedUnits> FluxTransformer::Impl::place(const std::vector<Residence>& residence) {
    const std::lock_guard lock(placing_);
    if (placed_ && placed_->residence() == residence) return placed_;
    placed_.reset(); // before more is reserved
    const std::lock_guard busy(device->impl->busy); // weights are widened over the workspace
    return placed_ = std::make_shared<PlacedUnits>(memory(), packs, residence, ops().widener());
}

uint64_t FluxTransformer::Impl::free_bytes() const {
    const std::lock_guard lock(placing_);
    return usable_bytes(memory()) + (placed_.use_count() == 1 ? placed_->device_bytes() : 0);
}

std::vector<Residence> FluxTransformer::Impl::residence_beside(uint64_t other_bytes, uint64_t budget) const {
    if (!budget) {
        const std::lock_guard lock(placing_);
        if (placed_) return placed_->residence();
    }
    const uint64_t available = budget ? budget : free_bytes();
    return PlacedUnits::residence_within(
        memory(), packs, available - std::min(available, other_bytes), "the transformer's weights");
}

std::shared_ptr<FluxTransformer> FluxTransformer::load(std::shared_ptr<Device> device, const std::string& dir,
    BaseQuant quant, const std::string& cache_dir, const EngineProgress& progress) {
    std::shared_ptr<FluxTransformer> model(new FluxTransformer);
    const int threads = device->impl->ops->threads();
    FluxWeights weights = FluxWeights::load(dir, quant, cache_dir, threads, internal_progress(progress));
    model->impl = std::make_unique<Impl>(std::move(device), std::move(weights));
    return model;
}

std::shared_ptr<FluxTransformer> FluxTransformer::random(std::shared_ptr<Device> device, const FluxDims& dims,
    BaseQuant quant, uint64_t seed, const EngineProgress& progress) {
    std::shared_ptr<FluxTransformer> model(new FluxTransformer);
    const int threads = device->impl->ops->threads();
    FluxWeights weights = FluxWeights::random(dims, quant, seed, threads, internal_progress(progress));
    model->impl = std::make_unique<Impl>(std::move(device), std::move(weights));
    return model;
}

const FluxDims& FluxTransformer::dims() const { return impl->dims(); }
const std::vector<LinearModule>& FluxTransformer::modules() const { return impl->modules; }
uint64_t FluxTransformer::weight_bytes() const { return impl->weights.bytes(); }

TensorMap FluxTransformer::forward(const ForwardInput& input) {
    const FluxDims& dims = impl->dims();
    require(!input.prompt_embeds.empty() && static_cast<int64_t>(input.prompt_embeds.size()) % dims.joint_dim == 0,
        ErrorCode::invalid_argument, "prompt_embeds has ", input.prompt_embeds.size(), " values, expected rows of ",
        dims.joint_dim);
    const FluxShape shape{
        input.grid_h, input.grid_w, static_cast<int64_t>(input.prompt_embeds.size()) / dims.joint_dim};
    check_shape(shape);
    check_input(input.latents, shape.image_tokens() * dims.in_channels, "latents");
    check_input(input.prompt_embeds, shape.text_tokens * dims.joint_dim, "prompt_embeds");
    check_input(input.pooled, dims.pooled_dim, "pooled");

    Program program;
    const FluxTables tables(dims, shape.text_tokens, shape.grid_h, shape.grid_w);
    NetworkOptions options;
    options.capture = input.capture_blocks;
    options.activations = impl->ops().activations();
    UnitStream stream(program);
    FluxNetwork network(program, impl->weights.layers(), shape, tables, options);
    const Sym latents = program.persistent(shape.image_tokens(), dims.in_channels, "latents");
    const Sym prompt = program.persistent(shape.text_tokens, dims.joint_dim, "prompt_embeds");
    const ConditioningInputs conditioning(program, dims, 1);
    program.emit(op::Inputs{{conditioning.all()}});
    const Sym table = program.temp(1, ModulationLayout(dims).cols(), "modulation");
    stream.start();
    ConditioningTape tape = emit_embedding(
        program, impl->weights.layers(), conditioning.time, conditioning.guidance, conditioning.pooled, table);
    network.begin(latents, prompt, table);
    FluxNetwork* const networks[] = {&network};
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

Tensor read_tensor(Memory& memory, const View& view) {
    return {{view.rows, view.cols}, read_rows(memory, view, "transformer")};
}

} // namespace atelier
