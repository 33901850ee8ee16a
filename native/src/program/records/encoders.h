// Records of what only text encoders and the autoencoder compute; formulas and shapes stand in ops/ops.h.
#pragma once
#include "ops/ops.h"
#include "program/program.h"

namespace atelier::op {

struct LayerNorm {
    static constexpr const char* name = "layer_norm";
    Read x;
    const float *weight = nullptr, *bias = nullptr;
    float eps = 0;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const { ops.layer_norm(at(x), at(weight), at(bias), eps, at(y)); }
};

struct RmsNorm {
    static constexpr const char* name = "rms_norm";
    Read x;
    const float* weight = nullptr;
    float eps = 0;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const { ops.rms_norm(at(x), at(weight), eps, at(y)); }
};

struct GroupNorm {
    static constexpr const char* name = "group_norm";
    Read x;
    const float *weight = nullptr, *bias = nullptr;
    int64_t groups = 0;
    float eps = 0;
    Activation then = Activation::none;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.group_norm(at(x), at(weight), at(bias), groups, eps, then, at(y));
    }
};

struct Embedding {
    static constexpr const char* name = "embedding";
    Read ids;
    Weight table;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const { ops.embedding(at(ids), at(table), at(y)); }
};

struct AddTable {
    static constexpr const char* name = "add table";
    Read x;
    Table table;
    Write out;

    void run(Ops& ops, const Program::Resolver& at) const { ops.add(at(x), at(table), at(out)); }
};

} // namespace atelier::op
