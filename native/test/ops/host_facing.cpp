#include "ops/host_facing.h"
#include "base/error.h"
#include "base/half.h"
#include <algorithm>
#include <map>
#include <optional>
#include <vector>

namespace atelier::test {
namespace {

uint64_t extent(const View& v) {
    return static_cast<uint64_t>(v.rows ? (v.rows - 1) * v.ld + v.cols : 0) * dtype_size(v.dtype);
}

// One op's matrices on the device. Views that begin at one address share what is there, as they do on the host; they
// must be of one size.
class Call {
public:
    explicit Call(Ops& ops) : memory_(ops.memory()), kept_(ops.activations()) {}
    ~Call() {
        for (const auto& [host, piece] : pieces_) memory_.release(piece.device);
    }

    template <class T>
    const T* in(const T* host, int64_t count) {
        if (!host || count == 0) return nullptr;
        return static_cast<const T*>(piece(const_cast<T*>(host), static_cast<uint64_t>(count) * sizeof(T)).device);
    }
    View in(View v) {
        if (v) v.data = piece(v.data, extent(v)).device;
        return v;
    }
    View out(const View& v) {
        if (v) piece(v.data, extent(v)).written = true;
        return in(v);
    }
    // Activations: fp32 here, on the device what the backend keeps.
    View activation(View v) {
        if (!narrows(v)) return in(v);
        v.data = narrow_piece(v).device;
        v.dtype = DType::bf16;
        return v;
    }
    View activation_out(const View& v) {
        if (!narrows(v)) return out(v);
        narrow_piece(v).written = true;
        return activation(v);
    }
    Weight in(Weight w) {
        const int64_t count = w.rows * w.cols, blocks = (count + Nf4Data::kBlock - 1) / Nf4Data::kBlock;
        if (w.format == WeightFormat::f32) w.dense = in(static_cast<const float*>(w.dense), count);
        if (w.format == WeightFormat::f16 || w.format == WeightFormat::bf16)
            w.dense = in(static_cast<const uint16_t*>(w.dense), count);
        if (w.format != WeightFormat::nf4) return w;
        w.nf4.packed = in(w.nf4.packed, (count + 1) / 2);
        w.nf4.absmax = in(w.nf4.absmax, blocks);
        w.nf4.nested_code = w.nf4.absmax ? nullptr : in(w.nf4.nested_code, 256);
        if (w.nf4.absmax) return w;
        w.nf4.absmax8 = in(w.nf4.absmax8, blocks);
        w.nf4.nested_absmax = in(w.nf4.nested_absmax, (blocks + Nf4Data::kNestedBlock - 1) / Nf4Data::kNestedBlock);
        return w;
    }
    // After the op.
    void collect() {
        for (const auto& [host, piece] : pieces_) {
            if (!piece.written) continue;
            if (piece.narrow) widen(*piece.narrow, piece);
            else memory_.download(host, piece.device, piece.bytes);
        }
    }

private:
    struct Piece {
        void* device = nullptr;
        uint64_t bytes = 0; // on the device
        bool written = false;
        std::optional<View> narrow; // the host's matrix, where the device has it as bf16
    };
    Piece& piece(void* host, uint64_t bytes, const void* content) {
        Piece& p = pieces_[host];
        require(!p.device || p.bytes == bytes, ErrorCode::internal, "two matrices of different sizes at one address");
        if (p.device) return p;
        p.device = memory_.reserve(bytes);
        p.bytes = bytes;
        memory_.upload(p.device, content, bytes);
        return p;
    }
    Piece& piece(void* host, uint64_t bytes) { return piece(host, bytes, host); }
    bool narrows(const View& v) const { return v && v.dtype == DType::f32 && kept_ == DType::bf16; }
    Piece& narrow_piece(const View& v) {
        std::vector<uint16_t> bits(extent(v) / sizeof(float));
        std::transform(v.f32(), v.f32() + bits.size(), bits.begin(), float_to_bf16);
        Piece& p = piece(v.data, bits.size() * sizeof bits[0], bits.data());
        p.narrow = v;
        return p;
    }
    void widen(const View& to, const Piece& from) {
        std::vector<uint16_t> bits(from.bytes / sizeof(uint16_t));
        memory_.download(bits.data(), from.device, from.bytes);
        for (int64_t i = 0; i < to.rows; ++i)
            for (int64_t j = 0; j < to.cols; ++j)
                to.row(i)[j] = bf16_to_float(bits[static_cast<size_t>(i * to.ld + j)]);
    }

    Memory& memory_;
    DType kept_;
    std::map<void*, Piece> pieces_;
};

class HostFacing final : public Ops {
public:
    explicit HostFacing(std::unique_ptr<Ops> inner) : inner_(std::move(inner)) {}
    const char* name() const override { return inner_->name(); }
    int threads() const override { return inner_->threads(); }
    uint64_t workspace_bytes() const override { return inner_->workspace_bytes(); }
    Memory& memory() override { return inner_->memory(); }
    DType activations() const override { return inner_->activations(); }

    void linear(const LinearArgs& t) override {
        call([&](Call& c) {
            inner_->linear({c.activation(t.x), c.in(t.w), c.in(t.bias, t.w.rows), t.activation, c.in(t.lora_xa),
                c.in(t.lora_b), t.lora_scale, c.activation_out(t.y), c.activation_out(t.pre)});
        });
    }
    void linear_dx(const LinearDxArgs& t) override {
        call([&](Call& c) {
            inner_->linear_dx({c.activation(t.dy), c.in(t.w), c.in(t.lora_dxa), c.in(t.lora_a), c.activation_out(t.dx),
                t.accumulate});
        });
    }
    void lora_down(const View& x, const View& a, const View& xa) override {
        call([&](Call& c) { inner_->lora_down(c.activation(x), c.in(a), c.out(xa)); });
    }
    void lora_grad(const LoraGradArgs& t) override {
        call([&](Call& c) {
            inner_->lora_grad({c.activation(t.x), c.in(t.xa), c.activation(t.dy), c.in(t.b), t.scale, c.out(t.dxa),
                c.out(t.da), c.out(t.db)});
        });
    }
    void attention(const AttentionArgs& t) override {
        call([&](Call& c) {
            inner_->attention({c.activation(t.q), c.activation(t.k), c.activation(t.v), c.activation_out(t.o),
                c.out(t.lse), t.heads, t.dim, t.scale, t.causal, c.in(t.bias, t.heads * t.q.rows * t.k.rows)});
        });
    }
    void attention_bwd(const AttentionBwdArgs& t) override {
        call([&](Call& c) {
            inner_->attention_bwd({c.activation(t.dout), c.activation(t.q), c.activation(t.k), c.activation(t.v),
                c.activation(t.o), c.in(t.lse), c.activation_out(t.dq), c.activation_out(t.dk), c.activation_out(t.dv),
                c.out(t.delta), t.heads, t.dim, t.scale});
        });
    }
    void conv2d(const Conv2dArgs& given) override {
        call([&](Call& c) {
            Conv2dArgs t = given;
            t.weight = c.in(t.weight), t.bias = c.in(t.bias, t.y.cols);
            t.x = c.activation(t.x), t.residual = c.activation(t.residual), t.y = c.activation_out(t.y);
            inner_->conv2d(t);
        });
    }
    void gated_norm_modulate(const View& x, const View& gate, const View& branch, const View& shift, const View& scale,
        float eps, const View& r, const View& y, const View& stats) override {
        call([&](Call& c) {
            inner_->gated_norm_modulate(c.activation(x), c.in(gate), c.activation(branch), c.in(shift), c.in(scale),
                eps, c.activation_out(r), c.activation_out(y), c.out(stats));
        });
    }
    void norm_modulate_bwd(
        const View& dy, const View& r, const View& scale, const View& stats, const View& dr) override {
        call([&](Call& c) {
            inner_->norm_modulate_bwd(
                c.activation(dy), c.activation(r), c.in(scale), c.in(stats), c.activation_out(dr));
        });
    }
    void gated_residual(const View& x, const View& gate, const View& branch, const View& r) override {
        call([&](Call& c) {
            inner_->gated_residual(c.activation(x), c.in(gate), c.activation(branch), c.activation_out(r));
        });
    }
    void mul_row(const View& x, const View& gate, const View& y) override {
        call([&](Call& c) { inner_->mul_row(c.activation(x), c.in(gate), c.activation_out(y)); });
    }
    void column_dot(const View& x, const View& y, const View& out) override {
        call([&](Call& c) { inner_->column_dot(c.activation(x), c.activation(y), c.out(out)); });
    }
    void qk_norm_rope(const View& x, const float* weight, const View& cos, const View& sin, int64_t heads, float eps,
        const View& y) override {
        call([&](Call& c) {
            inner_->qk_norm_rope(
                c.activation(x), c.in(weight, x.cols / heads), c.in(cos), c.in(sin), heads, eps, c.activation_out(y));
        });
    }
    void qk_norm_rope_bwd(const View& dy, const View& x, const float* weight, const View& cos, const View& sin,
        int64_t heads, float eps, const View& dx) override {
        call([&](Call& c) {
            inner_->qk_norm_rope_bwd(c.activation(dy), c.activation(x), c.in(weight, x.cols / heads), c.in(cos),
                c.in(sin), heads, eps, c.activation_out(dx));
        });
    }
    void activation(const View& x, Activation kind, const View& y) override {
        call([&](Call& c) { inner_->activation(c.activation(x), kind, c.activation_out(y)); });
    }
    void activation_bwd(const View& dy, const View& x, Activation kind, const View& dx) override {
        call([&](Call& c) { inner_->activation_bwd(c.activation(dy), c.activation(x), kind, c.activation_out(dx)); });
    }
    void layer_norm(const View& x, const float* weight, const float* bias, float eps, const View& y) override {
        call([&](Call& c) { inner_->layer_norm(c.in(x), c.in(weight, x.cols), c.in(bias, x.cols), eps, c.out(y)); });
    }
    void rms_norm(const View& x, const float* weight, float eps, const View& y) override {
        call([&](Call& c) { inner_->rms_norm(c.in(x), c.in(weight, x.cols), eps, c.out(y)); });
    }
    void group_norm(const View& x, const float* weight, const float* bias, int64_t groups, float eps, Activation then,
        const View& y) override {
        call([&](Call& c) {
            inner_->group_norm(
                c.activation(x), c.in(weight, x.cols), c.in(bias, x.cols), groups, eps, then, c.activation_out(y));
        });
    }
    void embedding(const View& ids, const Weight& table, const View& y) override {
        call([&](Call& c) { inner_->embedding(c.in(ids), c.in(table), c.out(y)); });
    }
    void copy(const View& x, const View& y) override {
        call([&](Call& c) { inner_->copy(c.activation(x), c.activation_out(y)); });
    }
    void fill(const View& y, float value) override {
        call([&](Call& c) { inner_->fill(c.activation_out(y), value); });
    }
    void add(const View& x, const View& y, const View& out) override {
        call([&](Call& c) { inner_->add(c.activation(x), c.activation(y), c.activation_out(out)); });
    }
    void mul(const View& x, const View& y, const View& out) override {
        call([&](Call& c) { inner_->mul(c.activation(x), c.activation(y), c.activation_out(out)); });
    }
    void flow_noise(const View& latents, const View& noise, const View& sigma, const View& noisy) override {
        call([&](Call& c) { inner_->flow_noise(c.in(latents), c.in(noise), c.in(sigma), c.out(noisy)); });
    }
    void flow_loss(const View& pred, const View& latents, const View& noise, const View& weight, float grad_scale,
        const View& loss, const View& dpred) override {
        call([&](Call& c) {
            inner_->flow_loss(
                c.in(pred), c.in(latents), c.in(noise), c.in(weight), grad_scale, c.out(loss), c.out(dpred));
        });
    }
    void huber_loss(const View& pred, const View& latents, const View& noise, const View& weight_and_c,
        float grad_scale, const View& loss, const View& dpred) override {
        call([&](Call& c) {
            inner_->huber_loss(
                c.in(pred), c.in(latents), c.in(noise), c.in(weight_and_c), grad_scale, c.out(loss), c.out(dpred));
        });
    }
    void euler_step(
        const View& latents, const View& velocity, float sigma, float sigma_next, const View& out) override {
        call([&](Call& c) { inner_->euler_step(c.in(latents), c.in(velocity), sigma, sigma_next, c.out(out)); });
    }
    double l2_norm(const View& x) override {
        double norm = 0;
        call([&](Call& c) { norm = inner_->l2_norm(c.in(x)); });
        return norm;
    }
    void adamw(const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) override {
        call([&](Call& c) { inner_->adamw(a, c.out(param), c.in(grad), c.out(m), c.out(v)); });
    }
    void adamw_bnb32(const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) override {
        call([&](Call& c) { inner_->adamw_bnb32(a, c.out(param), c.in(grad), c.out(m), c.out(v)); });
    }
    void adamw8bit(const AdamArgs& a, const View& param, const View& grad, const View& m8, const View& v8,
        const View& m_absmax, const View& v_absmax) override {
        call([&](Call& c) {
            inner_->adamw8bit(a, c.out(param), c.in(grad), c.out(m8), c.out(v8), c.out(m_absmax), c.out(v_absmax));
        });
    }

private:
    template <class F>
    void call(F&& f) {
        Call c(*inner_);
        f(c);
        c.collect();
    }

    std::unique_ptr<Ops> inner_;
};

} // namespace

std::unique_ptr<Ops> host_facing(std::unique_ptr<Ops> inner) { return std::make_unique<HostFacing>(std::move(inner)); }

} // namespace atelier::test
