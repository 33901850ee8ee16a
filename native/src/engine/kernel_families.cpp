#include "engine/kernel_families.h"
#include "engine/kernel_case.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

using Type = KernelCase::Type;
using Fast = PlainForms::Fast;
using Trial = KernelTrial;
using At = KernelCase::At;

// `beside`: columns that x has on either side, so that its rows begin anywhere and kernels go element by element.
double product(Trial& t, int64_t rows, int64_t in, int64_t out, Type type = Type::kept, int64_t beside = 0) {
    KernelCase forward(t.card, t.cpu, 1);
    const size_t x = forward.input(rows, in + 2 * beside, type), bias = forward.input(1, out, Type::f32),
                 y = forward.output(rows, out, type), pre = forward.output(rows, out, type),
                 w = forward.weight(out, in);
    const double there = forward.difference([&](Ops& ops, const At& at) {
        ops.linear(
            {at.part(x, beside, in), at.weight(w), at.floats(bias), Activation::gelu_tanh, {}, {}, 1, at[y], at[pre]});
    });
    KernelCase backward(t.card, t.cpu, 2);
    const size_t dy = backward.input(rows, out + 2 * beside, type), dx = backward.output(rows, in, type, 0.5f),
                 v = backward.weight(out, in);
    return std::max(there, backward.difference([&](Ops& ops, const At& at) {
        ops.linear_dx({at.part(dy, beside, out), at.weight(v), {}, {}, at[dx], true});
    }));
}

double products(Trial& t) { // of few rows where many would be fp8's
    double worst = std::max({product(t, 5, 128, 96), product(t, 15, 192, 320), product(t, 7, 64, 40, Type::f32, 1)});
    if (!t.fp8)
        worst = std::max({worst, product(t, 77, 320, 64), t.real ? product(t, 1613, 3072, 3072) : 0,
            t.real ? product(t, 77, 15360, 3072) : 0}); // in slabs that are added up
    return worst;
}

double fp8_products(Trial& t) {
    return std::max({product(t, 16, 128, 96), product(t, 77, 192, 320), product(t, 17, 64, 48, Type::kept, 1),
        product(t, 17, 64, 48, Type::f32, 1), t.real ? product(t, 1613, 3072, 3072) : 0});
}

double row_products(Trial& t) {
    double worst = 0;
    for (int64_t rows = 1; rows <= 4; ++rows)
        for (const int64_t in : {int64_t{64}, int64_t{2112}, int64_t{t.real ? 3072 : 192}}) {
            KernelCase c(t.card, t.cpu, 3);
            const size_t x = c.input(rows, in, Type::f32), y = c.output(rows, 24, Type::f32), w = c.weight(24, in);
            worst = std::max(worst, c.difference([&](Ops& ops, const At& at) {
                LinearArgs args;
                args.x = at[x], args.w = at.weight(w), args.y = at[y];
                ops.linear(args);
            }));
        }
    return worst;
}

double attention(Trial& t, int64_t heads, int64_t dim, int64_t queries, int64_t keys, Type type) {
    KernelCase c(t.card, t.cpu, 4);
    const int64_t width = heads * dim;
    const size_t q = c.input(queries, width, type), k = c.input(keys, width, type), v = c.input(keys, width, type),
                 dout = c.input(queries, width, type);
    const size_t o = c.output(queries, width, type), lse = c.output(heads, queries, Type::f32),
                 dq = c.output(queries, width, type), dk = c.output(keys, width, type),
                 dv = c.output(keys, width, type), delta = c.input(heads, queries, Type::f32); // room to work in
    const float scale = 1 / std::sqrt(static_cast<float>(dim));
    return c.difference([&](Ops& ops, const At& at) {
        ops.attention({at[q], at[k], at[v], at[o], at[lse], heads, dim, scale, false, nullptr});
        ops.attention_bwd(
            {at[dout], at[q], at[k], at[v], at[o], at[lse], at[dq], at[dk], at[dv], at[delta], heads, dim, scale});
    });
}

double flash_attention(Trial& t) {
    double worst = 0;
    for (const int64_t dim : {int64_t{64}, int64_t{128}})
        for (const Type type : {Type::kept, Type::f32})
            for (const auto& [queries, keys] : {std::pair<int64_t, int64_t>{33, 70}, {65, 65}, {130, 33}})
                worst = std::max(worst, attention(t, 2, dim, queries, keys, type));
    return t.real ? std::max(worst, attention(t, 24, 128, 1613, 1613, Type::kept)) : worst;
}

double plain_attention(Trial& t) {
    return std::max(attention(t, 3, 40, 33, 70, Type::kept), attention(t, 1, 256, 20, 20, Type::f32));
}

// Beside products; of so few rows that none is fp8's, which would hide what is wrong with the branch.
double low_rank_branch(Trial& t, int64_t rank, int64_t in, int64_t out) {
    KernelCase c(t.card, t.cpu, 12);
    const int64_t rows = 15;
    const size_t x = c.input(rows, in), dy = c.input(rows, out), xa = c.input(rows, rank, Type::f32),
                 dxa = c.input(rows, rank, Type::f32), a = c.input(rank, in, Type::f32),
                 b = c.input(out, rank, Type::f32), w = c.weight(out, in), y = c.output(rows, out),
                 dx = c.output(rows, in, Type::kept, 0.5f);
    return c.difference([&](Ops& ops, const At& at) {
        ops.linear({at[x], at.weight(w), nullptr, Activation::none, at[xa], at[b], 4, at[y], {}});
        ops.linear_dx({at[dy], at.weight(w), at[dxa], at[a], at[dx], true});
    });
}

double low_rank(Trial& t) {
    double worst = 0;
    for (const int64_t rank : {int64_t{4}, int64_t{16}}) {
        KernelCase c(t.card, t.cpu, 5);
        const int64_t rows = t.real ? 1613 : 37, in = t.real ? 3072 : 100, out = t.real ? 3072 : 68;
        const size_t x = c.input(rows, in), a = c.input(rank, in, Type::f32), b = c.input(out, rank, Type::f32),
                     dy = c.input(rows, out), xa = c.output(rows, rank, Type::f32),
                     dxa = c.output(rows, rank, Type::f32), da = c.output(rank, in, Type::f32, 0.5f),
                     db = c.output(out, rank, Type::f32, 0.5f);
        worst = std::max(worst, c.difference([&](Ops& ops, const At& at) {
            ops.lora_down(at[x], at[a], at[xa]);
            ops.lora_grad({at[x], at[xa], at[dy], at[b], 0.5f, at[dxa], at[da], at[db]});
        }));
        worst = std::max({worst, low_rank_branch(t, rank, 128, 68), low_rank_branch(t, rank, 192, 1100)});
    }
    return worst;
}

struct Sizes {
    int64_t cols;
    Type type;
};
std::vector<Sizes> sizes_and_types(std::initializer_list<int64_t> cols) {
    std::vector<Sizes> all;
    for (const int64_t each : cols)
        for (const Type type : {Type::kept, Type::f32}) all.push_back({each, type});
    return all;
}

double norms(Trial& t) {
    double worst = 0;
    for (const Sizes& s : sizes_and_types({12, 257, t.real ? 3072 : 256})) {
        KernelCase c(t.card, t.cpu, 6);
        const int64_t cols = s.cols;
        const size_t x = c.input(5, cols, s.type), branch = c.input(5, cols, s.type),
                     gate = c.input(1, cols, Type::f32), shift = c.input(1, cols, Type::f32),
                     scale = c.input(1, cols, Type::f32), dy = c.input(5, cols, s.type);
        const size_t r = c.output(5, cols, s.type), y = c.output(5, cols, s.type), stats = c.output(5, 2, Type::f32),
                     dr = c.output(5, cols, s.type, 0.5f);
        worst = std::max(worst, c.difference([&](Ops& ops, const At& at) {
            ops.gated_norm_modulate(at[x], at[gate], at[branch], at[shift], at[scale], 1e-6f, at[r], at[y], at[stats]);
            ops.norm_modulate_bwd(at[dy], at[r], at[scale], at[stats], at[dr]);
        }));
    }
    return worst;
}

double rotary(Trial& t) {
    double worst = 0;
    for (const Sizes& s : sizes_and_types({12, 64, 128})) {
        KernelCase c(t.card, t.cpu, 7);
        const int64_t dim = s.cols;
        const size_t x = c.input(9, 3 * dim, s.type), weight = c.input(1, dim, Type::f32),
                     cos = c.input(9, dim, Type::f32), sin = c.input(9, dim, Type::f32),
                     dy = c.input(9, 3 * dim, s.type), y = c.output(9, 3 * dim, s.type),
                     dx = c.output(9, 3 * dim, s.type);
        worst = std::max(worst, c.difference([&](Ops& ops, const At& at) {
            ops.qk_norm_rope(at[x], at.floats(weight), at[cos], at[sin], 3, 1e-6f, at[y]);
            ops.qk_norm_rope_bwd(at[dy], at[x], at.floats(weight), at[cos], at[sin], 3, 1e-6f, at[dx]);
        }));
    }
    return worst;
}

double elements(Trial& t) {
    double worst = 0;
    for (const Sizes& s : sizes_and_types({37, t.real ? 12288 : 300})) {
        KernelCase c(t.card, t.cpu, 8);
        const int64_t cols = s.cols;
        const size_t x = c.input(7, cols, s.type), other = c.input(7, cols, s.type), row = c.input(1, cols, Type::f32);
        std::vector<size_t> out;
        for (int i = 0; i < 7; ++i) out.push_back(c.output(7, cols, s.type));
        const size_t sums = c.output(1, cols, Type::f32, 0.5f);
        worst = std::max(worst, c.difference([&](Ops& ops, const At& at) {
            ops.gated_residual(at[x], at[row], at[other], at[out[0]]);
            ops.mul_row(at[x], at[row], at[out[1]]);
            ops.activation(at[x], Activation::gelu_tanh, at[out[2]]);
            ops.activation_bwd(at[x], at[other], Activation::gelu_tanh, at[out[3]]);
            ops.add(at[x], at[other], at[out[4]]);
            ops.mul(at[x], at[other], at[out[5]]);
            ops.copy(at[x], at[out[6]]);
            ops.column_dot(at[x], at[other], at[sums]);
        }));
    }
    return worst;
}

double diffusion(Trial& t) {
    KernelCase c(t.card, t.cpu, 9);
    const int64_t rows = t.real ? 1536 : 50, cols = 64;
    const size_t latents = c.input(rows, cols, Type::f32), noise = c.input(rows, cols, Type::f32),
                 sigma = c.output(1, 1, Type::f32, 0.3f), pred = c.input(rows, cols, Type::f32),
                 weight_and_c = c.output(1, 2, Type::f32, 0.3f), noisy = c.output(rows, cols, Type::f32),
                 loss = c.output(1, 1, Type::f32), huber = c.output(1, 1, Type::f32),
                 dhuber = c.output(rows, cols, Type::f32), dpred = c.output(rows, cols, Type::f32),
                 next = c.output(rows, cols, Type::f32);
    return c.difference([&](Ops& ops, const At& at) {
        ops.flow_noise(at[latents], at[noise], at[sigma], at[noisy]);
        ops.flow_loss(at[pred], at[latents], at[noise], at[sigma], 0.25f, at[loss], at[dpred]);
        ops.huber_loss(at[pred], at[latents], at[noise], at[weight_and_c], 0.25f, at[huber], at[dhuber]);
        ops.euler_step(at[latents], at[pred], 0.5f, 0.25f, at[next]);
    });
}

double optimizers(Trial& t) {
    KernelCase c(t.card, t.cpu, 10);
    const int64_t count = 700, blocks = 3;
    std::vector<size_t> params, grads, states;
    for (int i = 0; i < 3; ++i) {
        params.push_back(c.output(1, count, Type::f32, 0.3f)), grads.push_back(c.input(1, count, Type::f32));
        if (i < 2) states.push_back(c.output(1, count, Type::f32)), states.push_back(c.output(1, count, Type::f32));
    }
    const size_t m8 = c.output(count, 1, Type::u8), v8 = c.output(count, 1, Type::u8),
                 m_absmax = c.output(blocks, 1, Type::f32), v_absmax = c.output(blocks, 1, Type::f32);
    return c.difference([&](Ops& ops, const At& at) {
        AdamArgs args;
        args.lr = 1e-2, args.weight_decay = 1e-2, args.grad_scale = 0.8f;
        for (args.step = 1; args.step <= 3; ++args.step) {
            ops.adamw(args, at[params[0]], at[grads[0]], at[states[0]], at[states[1]]);
            ops.adamw_bnb32(args, at[params[1]], at[grads[1]], at[states[2]], at[states[3]]);
            ops.adamw8bit(args, at[params[2]], at[grads[2]], at[m8], at[v8], at[m_absmax], at[v_absmax]);
        }
    });
}

double pictures(Trial& t) {
    KernelCase c(t.card, t.cpu, 11);
    const int64_t side = 9, channels = 32;
    const size_t x = c.input(side * side, channels), scale = c.input(1, channels, Type::f32),
                 shift = c.input(1, channels, Type::f32), y = c.output(side * side, channels);
    return c.difference([&](Ops& ops, const At& at) {
        ops.group_norm(at[x], at.floats(scale), at.floats(shift), 8, 1e-6f, Activation::silu, at[y]);
    });
}

// Results are rounded to bf16, which is 2^-9 of themselves; sums of operands that are rounded too come near 2^-7 of the
// largest. What is wrong is off by its own size.
constexpr double kRounded = 1.0 / 128, kNarrow = 1.0 / 8;

const KernelFamily kFamilies[] = {
    {"matrix products", products, 2 * kRounded, {}},
    {"fp8 products", fp8_products, kNarrow, Fast::fp8_products, "bf16 products"},
    {"products of a few rows", row_products, 2 * kRounded, Fast::row_products, "matrix products"},
    {"flash attention", flash_attention, 2 * kRounded, Fast::flash_attention, "plain attention"},
    {"plain attention", plain_attention, 2 * kRounded, {}},
    {"low-rank products", low_rank, kRounded, {}},
    {"norms and modulation", norms, kRounded, {}},
    {"rotary embedding", rotary, kRounded, {}},
    {"elementwise ops", elements, kRounded, {}},
    {"noise, loss and steps", diffusion, kRounded, {}},
    {"optimizers", optimizers, kRounded, {}},
    {"group norm", pictures, kRounded, {}},
};

} // namespace

std::span<const KernelFamily> kernel_families() { return kFamilies; }

} // namespace atelier
