// The backend over any matrix product: what the card's own entry point and the emulator's share.
#pragma once
#include "ops/cuda/cuda_memory.h"
#include "ops/cuda/workspace.h"
#include <functional>
#include <memory>
#include <string>

namespace atelier::ATELIER_CUDA_NS {

using MakeProduct = std::function<std::unique_ptr<MatrixProduct>(void* workspace, uint64_t bytes)>;

// `activations`: f32, or bf16 for half the memory and half the traffic; only what models are told to use, every op
// takes both. `fp8`: linears of NF4 weights multiply e4m3 operands, which the card has to have (compute
// capability 8.9).
std::unique_ptr<Ops> make_backend(const std::string& name, int device, const WorkspaceSizes& sizes, DType activations,
    bool fp8, const MakeProduct& make_product);

} // namespace atelier::ATELIER_CUDA_NS
