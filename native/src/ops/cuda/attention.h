// Attention on the device: which of its kernels can run, and both families' entry points.
#pragma once
#include "ops/cuda/typed.h"
#include "ops/ops.h"

namespace atelier::ATELIER_CUDA_NS {

constexpr int64_t kMostHeadDim = 512; // the autoencoder's one head is as wide as its channels

// An op's matrices for a kernel of their type.
template <class T>
struct TypedAttention {
    Rows<T> q, k, v, o;
    Rows<float> lse;
    int64_t heads, dim;
    float scale;
    bool causal;
    const float* bias;

    explicit TypedAttention(const AttentionArgs& t)
        : q(t.q), k(t.k), v(t.v), o(t.o), lse(t.lse), heads(t.heads), dim(t.dim), scale(t.scale), causal(t.causal),
          bias(t.bias) {}
};
template <class T>
struct TypedAttentionBwd {
    Rows<T> dout, q, k, v, o, dq, dk, dv;
    Rows<float> lse, delta;
    int64_t heads, dim;
    float scale;

    explicit TypedAttentionBwd(const AttentionBwdArgs& t)
        : dout(t.dout), q(t.q), k(t.k), v(t.v), o(t.o), dq(t.dq), dk(t.dk), dv(t.dv), lse(t.lse), delta(t.delta),
          heads(t.heads), dim(t.dim), scale(t.scale) {}
};

// The type of all its matrices but the statistics, which are fp32; internal, where they differ.
inline DType attention_type(const AttentionArgs& t) {
    only_f32("attention", {t.lse});
    return one_type("attention", {t.q, t.k, t.v, t.o});
}
inline DType attention_type(const AttentionBwdArgs& t) {
    only_f32("attention_bwd", {t.lse, t.delta});
    return one_type("attention_bwd", {t.dout, t.q, t.k, t.v, t.o, t.dq, t.dk, t.dv});
}

// Tensor cores: head size 64 or 128, no mask, no bias, rows whose heads start on 16 bytes.
bool flash_runs(const AttentionArgs& t);
bool flash_runs(const AttentionBwdArgs& t);
void flash_attention(cudaStream_t stream, const AttentionArgs& t);
void flash_attention_bwd(cudaStream_t stream, const AttentionBwdArgs& t);

// Everything else: products in fp32.
void plain_attention(cudaStream_t stream, const AttentionArgs& t);
void plain_attention_bwd(cudaStream_t stream, const AttentionBwdArgs& t);

// delta = rowsum(dout ⊙ o), both families' first step backward
void attention_delta(cudaStream_t stream, const AttentionBwdArgs& t);

} // namespace atelier::ATELIER_CUDA_NS
