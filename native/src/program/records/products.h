// Records of matrix products, attention and convolution; formulas and shapes stand in ops/ops.h.
#pragma once
#include "ops/ops.h"
#include "program/program.h"

namespace atelier::op {

inline double multiply_add(int64_t rows, int64_t cols, int64_t terms) {
    return 2 * static_cast<double>(rows) * static_cast<double>(cols) * static_cast<double>(terms);
}

struct Linear {
    static constexpr const char* name = "linear";
    static constexpr auto cost_kind = OpCost::Kind::product;
    Read x;
    Weight w;
    const float* bias = nullptr;
    Activation activation = Activation::none;
    Read lora_xa; // LoraDown's
    View lora_b;
    float lora_scale = 1;
    Write y, pre;

    int64_t rows() const { return x.rows; }
    double flops() const { return multiply_add(y.rows, w.rows, w.cols + lora_xa.cols); }
    void run(Ops& ops, const Program::Resolver& at) const {
        ops.linear({at(x), at(w), at(bias), activation, at(lora_xa), lora_b, lora_scale, at(y), at(pre)});
    }
};

struct LinearDx {
    static constexpr const char* name = "linear_dx";
    static constexpr auto cost_kind = OpCost::Kind::product;
    Read dy;
    Weight w;
    Read lora_dxa; // LoraGrad's
    View lora_a;
    Write dx;
    Read onto; // dx itself where the product is added to what is there, else null

    int64_t rows() const { return dy.rows; }
    double flops() const { return multiply_add(dx.rows, dx.cols, w.rows + lora_dxa.cols); }
    void run(Ops& ops, const Program::Resolver& at) const {
        ops.linear_dx({at(dy), at(w), at(lora_dxa), lora_a, at(dx), static_cast<bool>(onto)});
    }
};

struct LoraDown {
    static constexpr const char* name = "lora_down";
    static constexpr auto cost_kind = OpCost::Kind::product;
    Read x;
    View a;
    Write xa;

    double flops() const { return multiply_add(x.rows, x.cols, xa.cols); }
    void run(Ops& ops, const Program::Resolver& at) const { ops.lora_down(at(x), a, at(xa)); }
};

struct LoraGrad {
    static constexpr const char* name = "lora_grad";
    static constexpr auto cost_kind = OpCost::Kind::product;
    Read x, xa, dy;
    View b;
    float scale = 1;
    Write dxa;
    View da, db;

    double flops() const { return multiply_add(dy.rows, dxa.cols, 2 * dy.cols + x.cols); }
    void run(Ops& ops, const Program::Resolver& at) const {
        ops.lora_grad({at(x), at(xa), at(dy), b, scale, at(dxa), da, db});
    }
};

struct Attention {
    static constexpr const char* name = "attention";
    static constexpr auto cost_kind = OpCost::Kind::attention;
    Read q, k, v;
    Write o, lse;
    int64_t heads = 0;
    float scale = 1;
    bool causal = false;
    const float* bias = nullptr;

    int64_t dim() const { return q.cols / heads; }
    double flops() const { return 2 * multiply_add(q.rows, k.rows, q.cols); }
    void run(Ops& ops, const Program::Resolver& at) const {
        ops.attention({at(q), at(k), at(v), at(o), at(lse), heads, dim(), scale, causal, at(bias)});
    }
};

struct AttentionBwd {
    static constexpr const char* name = "attention_bwd";
    static constexpr auto cost_kind = OpCost::Kind::attention_bwd;
    Read dout, q, k, v, o, lse;
    Write dq, dk, dv, delta;
    int64_t heads = 0;
    float scale = 1;

    int64_t dim() const { return q.cols / heads; }
    double flops() const { return 5 * multiply_add(q.rows, k.rows, q.cols); }
    void run(Ops& ops, const Program::Resolver& at) const {
        ops.attention_bwd(
            {at(dout), at(q), at(k), at(v), at(o), at(lse), at(dq), at(dk), at(dv), at(delta), heads, dim(), scale});
    }
};

struct Conv2d {
    static constexpr const char* name = "conv2d";
    static constexpr auto cost_kind = OpCost::Kind::product;
    Read x;
    int64_t height = 0, width = 0; // as the convolution reads it
    bool upsampled = false;
    Weight weight;
    const float* bias = nullptr;
    int64_t kernel = 3, stride = 1, pad_before = 1, pad_after = 1; // above and to the left, below and to the right
    Read residual;
    Write y;

    int64_t rows() const { return y.rows; }
    double flops() const { return multiply_add(y.rows, weight.rows, weight.cols); }
    void run(Ops& ops, const Program::Resolver& at) const {
        ops.conv2d({at(x), height, width, upsampled, at(weight), at(bias), kernel, stride, pad_before, pad_before,
            pad_after, pad_after, at(residual), at(y)});
    }
};

} // namespace atelier::op
