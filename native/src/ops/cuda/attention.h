// Attention on the device: which of its kernels can run, and both families' entry points.
#pragma once
#include "ops/cuda/device.h"
#include "ops/ops.h"

namespace atelier::ATELIER_CUDA_NS {

constexpr int64_t kMostHeadDim = 512; // the autoencoder's one head is as wide as its channels

// Tensor cores: head size 64 or 128, no mask, no bias, rows whose heads start on 16 bytes.
bool flash_runs(const AttentionArgs& t);
bool flash_runs(const AttentionBwdArgs& t);
void flash_attention(cudaStream_t stream, const AttentionArgs& t);
void flash_attention_bwd(cudaStream_t stream, const AttentionBwdArgs& t);

// Everything else, in fp32.
void plain_attention(cudaStream_t stream, const AttentionArgs& t);
void plain_attention_bwd(cudaStream_t stream, const AttentionBwdArgs& t);

// delta = rowsum(dout ⊙ o), both families' first step backward
void attention_delta(cudaStream_t stream, const AttentionBwdArgs& t);

} // namespace atelier::ATELIER_CUDA_NS
