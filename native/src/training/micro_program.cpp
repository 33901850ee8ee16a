#include "training/micro_program.h"
#include <algorithm>

namespace atelier {
namespace {

NetworkOptions network_options(const MemoryChoice& choice, Parking& parking, DType activations) {
    NetworkOptions network;
    network.training = true;
    network.keep = choice.keep;
    network.parked = choice.parked;
    if (std::find(choice.parked.begin(), choice.parked.end(), true) != choice.parked.end()) network.parking = &parking;
    network.activations = activations;
    return network;
}

} // namespace

MicroProgram::MicroProgram(const FluxLayers& layers, const FluxShape& s, int64_t accumulation, const MemoryChoice& choice, DType activations)
    : shape(s), rope(layers.dims, s.text_tokens, s.grid_h, s.grid_w), stream(program), parking(program),
      network(program, stream, layers, s, rope, network_options(choice, parking, activations)),
      conditioning(program, layers.dims, 1) {
    const int64_t I = shape.image_tokens(), C = layers.dims.in_channels;
    latents = program.temp(I, C, "latents");
    noise = program.temp(I, C, "noise");
    prompt = program.temp(shape.text_tokens, layers.dims.joint_dim, "prompt_embeds");
    sigma = program.temp(1, 1, "sigma");
    weight = program.temp(1, 1, "loss weight");
    emit_alive(program, "inputs", conditioning.all());
    emit_alive(program, "inputs", {latents, noise, prompt, sigma, weight});

    stream.start();
    const Sym table = program.temp(1, ModulationLayout(layers.dims).cols(), "modulation");
    ConditioningTape tape = emit_embedding(program, layers, conditioning.time, conditioning.guidance, conditioning.pooled);
    const Sym noisy = program.temp(I, C, "noisy latents");
    program.emit("flow_noise", {latents, noise, sigma, noisy},
                 [x = latents, n = noise, s = sigma, noisy](Ops& ops, const Program::Resolver& at) { ops.flow_noise(at(x), at(n), at(s), at(noisy)); });
    prediction = network.forward(noisy, prompt, table, &tape);

    loss = program.temp(1, 1, "loss");
    const Sym dprediction = program.temp(I, C, "dprediction");
    const float share = 1.0f / static_cast<float>(accumulation);
    program.emit("flow_loss", {prediction, latents, noise, weight, loss, dprediction},
                 [p = prediction, x = latents, n = noise, w = weight, l = loss, dprediction, share](Ops& ops, const Program::Resolver& at) {
                     ops.flow_loss(at(p), at(x), at(n), at(w), share, at(l), at(dprediction));
                 });
    network.backward(dprediction);
    if (network.dtable()) emit_conditioning_bwd(program, stream, layers, tape, network.dtable());
    emit_alive(program, "outputs", {prediction, loss});
    program.plan();
}

void MicroProgram::place(Memory& memory, const PlacedUnits& weights, std::byte* parked) {
    stream.connect(weights);
    parking.connect(parked);
    tables = std::make_unique<Constants>(memory, std::vector{&weights.constants()});
    network.add_constants(*tables);
    tables->place();
    program.read_from(*tables);
}

} // namespace atelier
