#include "training/micro_program.h"
#include "program/records/elements.h"
#include "program/records/ends.h"
#include <algorithm>

namespace atelier {
namespace {

NetworkOptions network_options(const MicroProgramOptions& options, Parking& parking) {
    NetworkOptions network;
    network.activations = options.activations;
    if (options.forward_only) return network;
    network.training = true;
    network.keep = options.keep;
    network.parked = options.parked;
    if (std::find(options.parked.begin(), options.parked.end(), true) != options.parked.end())
        network.parking = &parking;
    return network;
}

} // namespace

MicroProgram::Sample::Sample(Program& program, const TransformerLayers& layers, const TransformerShape& shape,
    const TransformerTables& tables, const NetworkOptions& options, bool huber)
    : network(program, layers, shape, tables, options), conditioning(program, layers.dims, 1) {
    const int64_t I = shape.image_tokens(), C = layers.dims.in_channels;
    latents = program.temp(I, C, "latents");
    noise = program.temp(I, C, "noise");
    prompt = program.temp(shape.text_tokens, layers.dims.joint_dim, "prompt_embeds");
    sigma = program.temp(1, 1, "sigma");
    weight = program.temp(1, huber ? 2 : 1, "loss weight");
    program.emit(op::Inputs{{conditioning.all()}});
    program.emit(op::Inputs{{{latents, noise, prompt, sigma, weight}}});
}

MicroProgram::MicroProgram(const TransformerLayers& layers, const TransformerShape& s, const TransformerTables& tables,
    const MicroProgramOptions& options)
    : shape(s), stream(program), parking(program) {
    for (int64_t i = 0; i < options.together; ++i)
        samples.emplace_back(program, layers, shape, tables, network_options(options, parking), options.huber);
    const int64_t I = shape.image_tokens(), C = layers.dims.in_channels;

    stream.start();
    std::vector<TransformerNetwork*> networks;
    std::vector<ConditioningTape> conditioning;
    for (Sample& sample : samples) {
        const Sym table = program.temp(1, ModulationLayout(layers.dims).cols(), "modulation"),
                  noisy = program.temp(I, C, "noisy latents");
        conditioning.push_back(emit_embedding(program, layers, sample.conditioning.time, sample.conditioning.guidance,
            sample.conditioning.pooled, table));
        program.emit(op::FlowNoise{sample.latents, sample.noise, sample.sigma, noisy});
        sample.network.begin(noisy, sample.prompt, table);
        networks.push_back(&sample.network);
    }
    const std::vector<Sym> predictions = emit_forward(program, stream, layers, networks, conditioning);

    std::vector<Sym> dpredictions, dtables;
    const float share = 1.0f / static_cast<float>(options.accumulation);
    for (size_t i = 0; i < samples.size(); ++i) {
        Sample& sample = samples[i];
        sample.prediction = predictions[i];
        sample.loss = program.temp(1, 1, "loss");
        const Sym dprediction = dpredictions.emplace_back(program.temp(I, C, "dprediction"));
        if (options.huber)
            program.emit(op::HuberLoss{
                sample.prediction, sample.latents, sample.noise, sample.weight, share, sample.loss, dprediction});
        else
            program.emit(op::FlowLoss{
                sample.prediction, sample.latents, sample.noise, sample.weight, share, sample.loss, dprediction});
        dtables.push_back(sample.network.dtable());
    }
    if (!options.forward_only) emit_backward(stream, layers, networks, dpredictions);
    if (dtables.front()) emit_conditioning_bwd(program, stream, layers, conditioning, dtables);
    for (const Sample& sample : samples) program.emit(op::Outputs{{{sample.prediction, sample.loss}}});
    program.plan();
}

void MicroProgram::connect(const PlacedUnits& weights, const Constants& constants, std::byte* parked) {
    stream.connect(weights);
    parking.connect(parked);
    program.read_from(constants);
}

} // namespace atelier
