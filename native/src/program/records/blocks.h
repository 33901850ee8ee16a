// Records of what FLUX's blocks compute beside products; formulas and shapes stand in ops/ops.h.
#pragma once
#include "ops/ops.h"
#include "program/program.h"

namespace atelier::op {

struct GatedNormModulate {
    static constexpr const char* name = "gated_norm_modulate";
    Read x, gate, branch, shift, scale;
    float eps = 0;
    Write r, y, stats;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.gated_norm_modulate(at(x), at(gate), at(branch), at(shift), at(scale), eps, at(r), at(y), at(stats));
    }
};

struct Normalise { // LN(x) alone
    static constexpr const char* name = "normalise";
    Read x;
    Table zeros; // one row: a modulation that changes nothing
    float eps = 0;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const {
        const View none = at(zeros);
        ops.gated_norm_modulate(at(x), View{}, View{}, none, none, eps, View{}, at(y), View{});
    }
};

struct NormModulateBwd {
    static constexpr const char* name = "norm_modulate_bwd";
    Read dy, r, scale, stats;
    Update dr;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.norm_modulate_bwd(at(dy), at(r), at(scale), at(stats), at(dr));
    }
};

struct GatedResidual {
    static constexpr const char* name = "gated_residual";
    Read x, gate, branch;
    Write r;

    void run(Ops& ops, const Program::Resolver& at) const { ops.gated_residual(at(x), at(gate), at(branch), at(r)); }
};

struct MulRow {
    static constexpr const char* name = "mul_row";
    Read x, gate;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const { ops.mul_row(at(x), at(gate), at(y)); }
};

struct ColumnDot {
    static constexpr const char* name = "column_dot";
    Read x, y; // y null: of x alone
    Update out;

    void run(Ops& ops, const Program::Resolver& at) const { ops.column_dot(at(x), at(y), at(out)); }
};

struct QkNormRope {
    static constexpr const char* name = "qk_norm_rope";
    Read x;
    const float* weight = nullptr;
    Table cos, sin; // of x's rows
    int64_t heads = 0;
    float eps = 0;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.qk_norm_rope(at(x), at(weight), at(cos), at(sin), heads, eps, at(y));
    }
};

struct QkNormRopeBwd {
    static constexpr const char* name = "qk_norm_rope_bwd";
    Read dy, x;
    const float* weight = nullptr;
    Table cos, sin;
    int64_t heads = 0;
    float eps = 0;
    Write dx;

    void run(Ops& ops, const Program::Resolver& at) const {
        ops.qk_norm_rope_bwd(at(dy), at(x), at(weight), at(cos), at(sin), heads, eps, at(dx));
    }
};

struct Activate {
    static constexpr const char* name = "activation";
    Read x;
    Activation kind = Activation::none;
    Write y;

    void run(Ops& ops, const Program::Resolver& at) const { ops.activation(at(x), kind, at(y)); }
};

struct ActivateBwd {
    static constexpr const char* name = "activation_bwd";
    Read dy, x;
    Activation kind = Activation::none;
    Write dx;

    void run(Ops& ops, const Program::Resolver& at) const { ops.activation_bwd(at(dy), at(x), kind, at(dx)); }
};

} // namespace atelier::op
