#include "ops/cuda/backend.h"
#include "ops/cuda/attention.h"
#include "ops/cuda/nf4_widener.h"
#include "ops/cuda/plain_forms.h"
#include "ops/cuda/products.h"
#include <algorithm>
#include <cmath>
#include <thread>

namespace atelier::ATELIER_CUDA_NS {
namespace {

namespace kernels = atelier::ATELIER_CUDA_NS; // methods carry the kernels' names

class CudaOps final : public Ops, public PlainForms {
public:
    CudaOps(const std::string& name, int device, const WorkspaceSizes& sizes, DType activations, bool fp8,
        const MakeProduct& make_product)
        : name_(name), activations_(activations), memory_(device), room_(memory_, sizes),
          products_(make_product(room_.library, static_cast<uint64_t>(sizes.library_bytes)), room_, fp8),
          widener_(memory_, room_) {}

    const char* name() const override { return name_.c_str(); }
    int threads() const override { return static_cast<int>(std::max(1u, std::thread::hardware_concurrency())); }
    uint64_t workspace_bytes() const override { return room_.bytes(); }
    Memory& memory() override { return memory_; }
    DType activations() const override { return activations_; }
    // fp8 products read the NF4 values themselves, and so does the product of a few rows of fp32.
    Widener* widener() override { return products_.takes_fp8() || activations_ != DType::bf16 ? nullptr : &widener_; }

    void linear(const LinearArgs& t) override { products_.linear(stream(), t); }
    void linear_dx(const LinearDxArgs& t) override { products_.linear_dx(stream(), t); }
    void conv2d(const Conv2dArgs& t) override { products_.conv2d(stream(), t); }

    void lora_down(const View& x, const View& a, const View& xa) override { rows_times_rows(stream(), x, a, 1, xa); }

    void lora_grad(const LoraGradArgs& t) override {
        auto* partials = reinterpret_cast<float*>(room_.weight); // no slab lives from one op to the next
        const int64_t room = room_.sizes().weight_elements / 2;
        rows_times_columns(stream(), t.dy, t.b, t.scale, t.dxa);
        sum_outer(stream(), t.dxa, t.x, 1, false, t.da, partials, room);
        sum_outer(stream(), t.xa, t.dy, t.scale, true, t.db, partials, room);
    }

    void attention(const AttentionArgs& t) override {
        takes_flash(t) ? flash_attention(stream(), t) : plain_attention(stream(), t);
    }
    void attention_bwd(const AttentionBwdArgs& t) override {
        takes_flash(t) ? flash_attention_bwd(stream(), t) : plain_attention_bwd(stream(), t);
    }

    void gated_norm_modulate(const View& x, const View& gate, const View& branch, const View& shift, const View& scale,
        float eps, const View& r, const View& y, const View& stats) override {
        kernels::gated_norm_modulate(stream(), x, gate, branch, shift, scale, eps, r, y, stats);
    }
    void norm_modulate_bwd(
        const View& dy, const View& r, const View& scale, const View& stats, const View& dr) override {
        kernels::norm_modulate_bwd(stream(), dy, r, scale, stats, dr);
    }
    void gated_residual(const View& x, const View& gate, const View& branch, const View& r) override {
        kernels::gated_residual(stream(), x, gate, branch, r);
    }
    void mul_row(const View& x, const View& gate, const View& y) override { kernels::mul_row(stream(), x, gate, y); }
    void column_dot(const View& x, const View& y, const View& out) override {
        kernels::column_dot(stream(), x, y, out);
    }
    void qk_norm_rope(const View& x, const float* weight, const View& cos, const View& sin, int64_t heads, float eps,
        const View& y) override {
        kernels::qk_norm_rope(stream(), x, weight, cos, sin, heads, eps, y);
    }
    void qk_norm_rope_bwd(const View& dy, const View& x, const float* weight, const View& cos, const View& sin,
        int64_t heads, float eps, const View& dx) override {
        kernels::qk_norm_rope_bwd(stream(), dy, x, weight, cos, sin, heads, eps, dx);
    }
    void activation(const View& x, Activation kind, const View& y) override {
        kernels::activation(stream(), x, kind, y);
    }
    void activation_bwd(const View& dy, const View& x, Activation kind, const View& dx) override {
        kernels::activation_bwd(stream(), dy, x, kind, dx);
    }

    void layer_norm(const View& x, const float* weight, const float* bias, float eps, const View& y) override {
        affine_norm(stream(), x, weight, bias, eps, true, y);
    }
    void rms_norm(const View& x, const float* weight, float eps, const View& y) override {
        affine_norm(stream(), x, weight, nullptr, eps, false, y);
    }
    void group_norm(const View& x, const float* weight, const float* bias, int64_t groups, float eps, Activation then,
        const View& y) override {
        kernels::group_norm(stream(), x, weight, bias, groups, eps, then, y, room_.partials, room_.stats);
    }
    void embedding(const View& ids, const Weight& table, const View& y) override {
        kernels::embedding(stream(), ids, table, y);
    }

    void copy(const View& x, const View& y) override { kernels::copy(stream(), x, y); }
    void fill(const View& y, float value) override { kernels::fill(stream(), y, value); }
    void add(const View& x, const View& y, const View& out) override { kernels::add(stream(), x, y, out); }
    void mul(const View& x, const View& y, const View& out) override { kernels::mul(stream(), x, y, out); }

    void flow_noise(const View& latents, const View& noise, const View& sigma, const View& noisy) override {
        kernels::flow_noise(stream(), latents, noise, sigma, noisy);
    }
    void flow_loss(const View& pred, const View& latents, const View& noise, const View& weight, float grad_scale,
        const View& loss, const View& dpred) override {
        kernels::flow_loss(stream(), pred, latents, noise, weight, grad_scale, loss, dpred, room_.partials);
    }
    void huber_loss(const View& pred, const View& latents, const View& noise, const View& weight_and_c,
        float grad_scale, const View& loss, const View& dpred) override {
        kernels::huber_loss(stream(), pred, latents, noise, weight_and_c, grad_scale, loss, dpred, room_.partials);
    }
    void euler_step(
        const View& latents, const View& velocity, float sigma, float sigma_next, const View& out) override {
        kernels::euler_step(stream(), latents, velocity, sigma_next - sigma, out);
    }
    double l2_norm(const View& x) override {
        if (x.size() == 0) return 0;
        sum_of_squares(stream(), x, room_.partials);
        double sum = 0;
        memory_.download(&sum, room_.partials, sizeof sum);
        return std::sqrt(sum);
    }

    void use_plain(Fast kernels) override {
        if (kernels == Fast::flash_attention) flash_ = false;
        else products_.use_plain(kernels);
    }
    bool takes_fp8() const override { return products_.takes_fp8(); }

    void adamw(const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) override {
        kernels::adamw(stream(), adam_step(a), false, param, grad, m, v);
    }
    void adamw_bnb32(const AdamArgs& a, const View& param, const View& grad, const View& m, const View& v) override {
        kernels::adamw(stream(), adam_step_bnb32(a), true, param, grad, m, v);
    }
    void adamw8bit(const AdamArgs& a, const View& param, const View& grad, const View& m8, const View& v8,
        const View& m_absmax, const View& v_absmax) override {
        kernels::adamw8bit(stream(), adam_step(a), room_.tables, param, grad, m8, v8, m_absmax, v_absmax);
    }

private:
    cudaStream_t stream() const { return memory_.stream(); }
    template <class Args>
    bool takes_flash(const Args& t) const {
        return flash_ && flash_runs(t);
    }

    std::string name_;
    DType activations_;
    CudaMemory memory_;
    Workspace room_;
    Products products_;
    bool flash_ = true;
    Nf4Widener widener_;
};

} // namespace

std::unique_ptr<Ops> make_backend(const std::string& name, int device, const WorkspaceSizes& sizes, DType activations,
    bool fp8, const MakeProduct& make_product) {
    require(activations == DType::f32 || activations == DType::bf16, ErrorCode::unsupported, "CUDA: activations of ",
        dtype_name(activations), "; F32 and BF16 are there");
    return std::make_unique<CudaOps>(name, device, sizes, activations, fp8, make_product);
}

} // namespace atelier::ATELIER_CUDA_NS
