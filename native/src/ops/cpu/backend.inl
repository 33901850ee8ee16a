// The CPU backend for one instruction set: ATELIER_ISA names its namespace, ATELIER_LANES its vector width in floats.
// Everything that is not a template over local types lives in that namespace or is static, so that no two instruction
// sets share a symbol.
#include "base/half.h"
#include "base/thread_pool.h"
#include "ops/math/activations.h"
#include "ops/math/adam.h"
#include "ops/math/flow.h"
#include "ops/math/norms.h"
#include "ops/ops.h"
#include "quant/dynamic_map.h"
#include "quant/nf4.h"
#include <cmath>
#include <cstring>
#include <memory>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace atelier::ATELIER_ISA {
namespace {

#include "ops/cpu/simd.inl"
#include "ops/cpu/gemm.inl"
#include "ops/cpu/attention.inl"
#include "ops/cpu/conv.inl"
#include "ops/cpu/norms.inl"
#include "ops/cpu/optimizers.inl"

constexpr int64_t kThreadFloats = kAttentionFloats > kPanelFloats ? kAttentionFloats : kPanelFloats;
constexpr int64_t kGrain = 4096; // elements that are worth another thread

class CpuOps final : public Ops {
public:
    explicit CpuOps(int threads)
        : pool_(threads),
          workspace_(static_cast<float*>(std::aligned_alloc(64, static_cast<size_t>(threads) * kThreadFloats * 4))) {}
    ~CpuOps() override { std::free(workspace_); }

    const char* name() const override { return VL == 16 ? "cpu avx512" : VL == 8 ? "cpu avx2" : "cpu portable"; }
    int threads() const override { return pool_.threads(); }
    uint64_t workspace_bytes() const override { return static_cast<uint64_t>(pool_.threads()) * kThreadFloats * 4; }
    Memory& memory() override { return *memory_; }

    void linear(const LinearArgs& t) override {
        Segment segments[2] = {{t.x.f32(), t.x.ld, 1, t.x.cols, t.w, true}};
        int count = 1;
        if (t.lora_xa)
            segments[count++] = {
                t.lora_xa.f32(), t.lora_xa.ld, 1, t.lora_xa.cols, as_weight(t.lora_b), true, t.lora_scale};
        Epilogue e;
        e.bias = t.bias;
        e.activation = t.activation;
        e.pre = t.pre.f32();
        e.ldpre = t.pre.ld;
        product(segments, count, t.x.rows, t.w.rows, t.y, false, e);
    }

    void linear_dx(const LinearDxArgs& t) override {
        Segment segments[2] = {{t.dy.f32(), t.dy.ld, 1, t.dy.cols, t.w, false}};
        int count = 1;
        if (t.lora_dxa)
            segments[count++] = {t.lora_dxa.f32(), t.lora_dxa.ld, 1, t.lora_dxa.cols, as_weight(t.lora_a), false};
        product(segments, count, t.dy.rows, t.w.cols, t.dx, t.accumulate, {});
    }

    void lora_down(const View& x, const View& a, const View& xa) override {
        const Segment s{x.f32(), x.ld, 1, x.cols, as_weight(a), true};
        product(&s, 1, x.rows, a.rows, xa, false, {});
    }

    void lora_grad(const LoraGradArgs& t) override {
        const Segment dxa{t.dy.f32(), t.dy.ld, 1, t.dy.cols, as_weight(t.b), false, t.scale};
        product(&dxa, 1, t.dy.rows, t.b.cols, t.dxa, false, {});
        const Segment da{t.dxa.f32(), 1, t.dxa.ld, t.dxa.rows, as_weight(t.x), false}; // dxaᵀ · x
        product(&da, 1, t.da.rows, t.da.cols, t.da, true, {});
        const Segment db{t.dy.f32(), 1, t.dy.ld, t.dy.rows, as_weight(t.xa), false, t.scale}; // scale · dyᵀ · xa
        product(&db, 1, t.db.rows, t.db.cols, t.db, true, {});
    }

    void attention(const AttentionArgs& t) override {
        const int64_t cuts = (t.q.rows + BQ - 1) / BQ;
        pool_.for_each(t.heads * cuts, [&](int64_t task, int thread) {
            const int64_t q0 = task % cuts * BQ;
            attention_task(t, task / cuts, q0, lesser(BQ, t.q.rows - q0), workspace_ + thread * kThreadFloats);
        });
    }

    void attention_bwd(const AttentionBwdArgs& t) override {
        pool_.for_each(t.heads,
            [&](int64_t head, int thread) { attention_bwd_task(t, head, workspace_ + thread * kThreadFloats); });
    }

    void conv2d(const Conv2dArgs& t) override { convolve(pool_, workspace_, kThreadFloats, t); }

    void gated_norm_modulate(const View& x, const View& gate, const View& branch, const View& shift, const View& scale,
        float eps, const View& r, const View& y, const View& stats) override {
        rows(y, [&](int64_t i) {
            const float* from = x.row(i);
            if (gate) {
                add_gated(from, gate.f32(), branch.row(i), r.row(i), y.cols);
                from = r.row(i);
            } else if (r) {
                if (r.row(i) != from) std::memcpy(r.row(i), from, static_cast<size_t>(y.cols) * 4);
            }
            const Stats s = layer_stats(from, y.cols, eps);
            if (stats) {
                stats.row(i)[0] = s.mean;
                stats.row(i)[1] = s.inverse;
            }
            modulate(from, s, shift.f32(), scale.f32(), y.row(i), y.cols);
        });
    }

    void norm_modulate_bwd(
        const View& dy, const View& r, const View& scale, const View& stats, const View& dr) override {
        rows(dy, [&](int64_t i) {
            modulate_bwd(dy.row(i), r.row(i), scale.f32(), {stats.row(i)[0], stats.row(i)[1]}, dr.row(i), dy.cols);
        });
    }

    void gated_residual(const View& x, const View& gate, const View& branch, const View& r) override {
        rows(r, [&](int64_t i) { add_gated(x.row(i), gate.f32(), branch.row(i), r.row(i), r.cols); });
    }

    void mul_row(const View& x, const View& gate, const View& y) override {
        rows(y, [&](int64_t i) {
            lanes(y.cols, [&](int64_t j, int64_t n) {
                store_n(y.row(i) + j, load_n(x.row(i) + j, n) * load_n(gate.f32() + j, n), n);
            });
        });
    }

    void column_dot(const View& x, const View& y, const View& out) override {
        pool_.for_ranges(x.cols, 256, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = 0; i < x.rows; ++i)
                for (int64_t j = begin; j < end; ++j) out.f32()[j] += y ? x.row(i)[j] * y.row(i)[j] : x.row(i)[j];
        });
    }

    void qk_norm_rope(const View& x, const float* weight, const View& cos, const View& sin, int64_t heads, float eps,
        const View& y) override {
        const int64_t dim = x.cols / heads;
        rows(x, [&](int64_t i) {
            for (int64_t h = 0; h < heads; ++h)
                norm_rope(x.row(i) + h * dim, weight, cos.row(i), sin.row(i), dim, eps, y.row(i) + h * dim);
        });
    }

    void qk_norm_rope_bwd(const View& dy, const View& x, const float* weight, const View& cos, const View& sin,
        int64_t heads, float eps, const View& dx) override {
        const int64_t dim = x.cols / heads;
        rows(x, [&](int64_t i) {
            for (int64_t h = 0; h < heads; ++h)
                norm_rope_bwd(dy.row(i) + h * dim, x.row(i) + h * dim, weight, cos.row(i), sin.row(i), dim, eps,
                    dx.row(i) + h * dim);
        });
    }

    void activation(const View& x, Activation kind, const View& y) override {
        rows(y, [&](int64_t i) {
            lanes(y.cols,
                [&](int64_t j, int64_t n) { store_n(y.row(i) + j, vactivate(kind, load_n(x.row(i) + j, n)), n); });
        });
    }

    void activation_bwd(const View& dy, const View& x, Activation kind, const View& dx) override {
        rows(dx, [&](int64_t i) {
            lanes(dx.cols, [&](int64_t j, int64_t n) {
                store_n(dx.row(i) + j, load_n(dy.row(i) + j, n) * vactivate_slope(kind, load_n(x.row(i) + j, n)), n);
            });
        });
    }

    void layer_norm(const View& x, const float* weight, const float* bias, float eps, const View& y) override {
        rows(y,
            [&](int64_t i) { affine(x.row(i), layer_stats(x.row(i), x.cols, eps), weight, bias, y.row(i), x.cols); });
    }

    void rms_norm(const View& x, const float* weight, float eps, const View& y) override {
        rows(y, [&](int64_t i) {
            affine(x.row(i), {0, rms_inverse(x.row(i), x.cols, eps)}, weight, nullptr, y.row(i), x.cols);
        });
    }

    void group_norm(const View& x, const float* weight, const float* bias, int64_t groups, float eps, Activation then,
        const View& y) override {
        const int64_t width = x.cols / groups;
        pool_.for_each(
            groups, [&](int64_t g, int) { normalise_group(x, weight, bias, g * width, width, eps, then, y); });
    }

    void embedding(const View& ids, const Weight& table, const View& y) override {
        for (int64_t i = 0; i < ids.rows; ++i)
            widen(table, static_cast<const int32_t*>(ids.data)[i * ids.ld], 0, table.cols, y.row(i));
    }

    void copy(const View& x, const View& y) override {
        rows(y, [&](int64_t i) { std::memmove(y.row(i), x.row(i), static_cast<size_t>(y.cols) * 4); });
    }
    void fill(const View& y, float value) override {
        rows(y,
            [&](int64_t i) { lanes(y.cols, [&](int64_t j, int64_t n) { store_n(y.row(i) + j, splat(value), n); }); });
    }
    void add(const View& x, const View& y, const View& out) override {
        rows(out, [&](int64_t i) {
            lanes(out.cols, [&](int64_t j, int64_t n) {
                store_n(out.row(i) + j, load_n(x.row(i) + j, n) + load_n(y.row(i) + j, n), n);
            });
        });
    }
    void mul(const View& x, const View& y, const View& out) override {
        rows(out, [&](int64_t i) {
            lanes(out.cols, [&](int64_t j, int64_t n) {
                store_n(out.row(i) + j, load_n(x.row(i) + j, n) * load_n(y.row(i) + j, n), n);
            });
        });
    }

    void flow_noise(const View& latents, const View& noise, const View& sigma, const View& noisy) override {
        const vf s = splat(*sigma.f32()), rest = splat(1.0f - *sigma.f32());
        rows(noisy, [&](int64_t i) {
            lanes(noisy.cols, [&](int64_t j, int64_t n) {
                store_n(
                    noisy.row(i) + j, flow_mix(load_n(latents.row(i) + j, n), load_n(noise.row(i) + j, n), s, rest), n);
            });
        });
    }

    void flow_loss(const View& pred, const View& latents, const View& noise, const View& weight, float grad_scale,
        const View& loss, const View& dpred) override {
        const double w = *weight.f32(), mean = w / static_cast<double>(pred.size());
        const float slope = static_cast<float>(2.0 * mean * grad_scale);
        double sum = 0;
        for (int64_t i = 0; i < pred.rows; ++i)
            for (int64_t j = 0; j < pred.cols; ++j) {
                const float error = flow_error(pred.row(i)[j], latents.row(i)[j], noise.row(i)[j]);
                sum += static_cast<double>(error) * error;
                if (dpred) dpred.row(i)[j] = slope * error;
            }
        *loss.f32() = static_cast<float>(sum * mean);
    }

    void huber_loss(const View& pred, const View& latents, const View& noise, const View& weight_and_c,
        float grad_scale, const View& loss, const View& dpred) override {
        const double mean = static_cast<double>(weight_and_c.f32()[0]) / static_cast<double>(pred.size()),
                     c = static_cast<double>(weight_and_c.f32()[1]), scale = mean * static_cast<double>(grad_scale);
        double sum = 0;
        for (int64_t i = 0; i < pred.rows; ++i)
            for (int64_t j = 0; j < pred.cols; ++j) {
                const double error =
                    static_cast<double>(flow_error(pred.row(i)[j], latents.row(i)[j], noise.row(i)[j]));
                sum += huber(error, c);
                if (dpred) dpred.row(i)[j] = static_cast<float>(scale * huber_slope(error, c));
            }
        *loss.f32() = static_cast<float>(sum * mean);
    }

    void euler_step(
        const View& latents, const View& velocity, float sigma, float sigma_next, const View& out) override {
        const vf dt = splat(sigma_next - sigma);
        rows(out, [&](int64_t i) {
            lanes(out.cols, [&](int64_t j, int64_t n) {
                store_n(out.row(i) + j, euler(load_n(latents.row(i) + j, n), load_n(velocity.row(i) + j, n), dt), n);
            });
        });
    }

    double l2_norm(const View& x) override {
        double sum = 0;
        for (int64_t i = 0; i < x.rows; ++i)
            for (int64_t j = 0; j < x.cols; ++j) sum += static_cast<double>(x.row(i)[j]) * x.row(i)[j];
        return std::sqrt(sum);
    }

    void adamw(const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) override {
        adam_torch(pool_, a, param, grad, m, v);
    }
    void adamw_bnb32(const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) override {
        adam_bnb32(pool_, a, param, grad, m, v);
    }
    void adamw8bit(const AdamArgs& a, const View& param, const View& grad, const View& m8, const View& v8,
        const View& m_absmax, const View& v_absmax) override {
        adam_bnb8(pool_, a, param, grad, m8, v8, m_absmax, v_absmax);
    }

private:
    void product(const Segment* segments, int count, int64_t M, int64_t N, const View& c, bool accumulate,
        const Epilogue& epilogue) {
        bool few = M <= kFewRows && !accumulate;
        for (int i = 0; i < count; ++i) few = few && segments[i].transposed && segments[i].cs == 1;
        if (few) gemv(pool_, segments, count, M, N, c.f32(), c.ld, epilogue);
        else gemm(pool_, workspace_, segments, count, M, N, c.f32(), c.ld, accumulate, epilogue, kThreadFloats);
    }

    template <class F>
    void rows(const View& like, F&& f) {
        const int64_t grain = like.cols >= kGrain ? 1 : (kGrain + like.cols - 1) / like.cols;
        pool_.for_ranges(like.rows, grain, [&](int64_t begin, int64_t end, int) {
            for (int64_t i = begin; i < end; ++i) f(i);
        });
    }

    ThreadPool pool_;
    float* workspace_;
    std::unique_ptr<Memory> memory_ = make_host_memory();
};

} // namespace

std::unique_ptr<Ops> make_ops(int threads) { return std::make_unique<CpuOps>(threads); }

} // namespace atelier::ATELIER_ISA
