// The backend over any matrix product: what the card's own entry point and the emulator's share.
#pragma once
#include "ops/cuda/cuda_memory.h"
#include "ops/cuda/workspace.h"
#include <functional>
#include <memory>
#include <string>

namespace atelier::ATELIER_CUDA_NS {

using MakeProduct = std::function<std::unique_ptr<MatrixProduct>(void* workspace, uint64_t bytes)>;

std::unique_ptr<Ops> make_backend(const std::string& name, int device, const WorkspaceSizes& sizes, const MakeProduct& make_product);

} // namespace atelier::ATELIER_CUDA_NS
