// Records of elementwise ops, and of diffusion; formulas and shapes stand in ops/ops.h.
#pragma once
#include "ops/ops.h"
#include "program/program.h"

namespace atelier::op {

struct Copy {
    static constexpr const char* name = "copy";
    Read x;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const { ops.copy(at(x), at(y)); }
};

struct Fill {
    static constexpr const char* name = "fill";
    Write y;
    float value = 0;

    void run(Ops& ops, const Program::Resolver& at) const { ops.fill(at(y), value); }
};

struct Add {
    static constexpr const char* name = "add";
    Read x, y;
    Write out;

    void run(Ops& ops, const Program::Resolver& at) const { ops.add(at(x), at(y), at(out)); }
};

struct Mul {
    static constexpr const char* name = "mul";
    Read x, y;
    Write out;

    void run(Ops& ops, const Program::Resolver& at) const { ops.mul(at(x), at(y), at(out)); }
};

struct FlowNoise {
    static constexpr const char* name = "flow_noise";
    Read latents, noise, sigma;
    Write noisy;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.flow_noise(at(latents), at(noise), at(sigma), at(noisy));
    }
};

struct FlowLoss {
    static constexpr const char* name = "flow_loss";
    Read pred, latents, noise, weight;
    float grad_scale = 1;
    Write loss, dpred;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.flow_loss(at(pred), at(latents), at(noise), at(weight), grad_scale, at(loss), at(dpred));
    }
};

struct HuberLoss {
    static constexpr const char* name = "huber_loss";
    Read pred, latents, noise, weight_and_c;
    float grad_scale = 1;
    Write loss, dpred;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.huber_loss(at(pred), at(latents), at(noise), at(weight_and_c), grad_scale, at(loss), at(dpred));
    }
};

struct Sigmas {
    float now = 0, next = 0;
};

struct EulerStep {
    static constexpr const char* name = "euler_step";
    Read latents, velocity;
    const Sigmas* sigmas = nullptr; // of the step under way: one program runs every step
    Write out;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.euler_step(at(latents), at(velocity), sigmas->now, sigmas->next, at(out));
    }
};

} // namespace atelier::op
