// NF4 weights of the host as dense bf16 on the card, by the kernel that makes a product's slabs.
#pragma once
#include "memory/widener.h"
#include "ops/cuda/cuda_memory.h"
#include "ops/cuda/workspace.h"

namespace atelier::ATELIER_CUDA_NS {

class Nf4Widener final : public Widener {
public:
    Nf4Widener(CudaMemory& memory, const Workspace& workspace) : memory_(memory), room_(workspace) {}
    void widen(const Weight& on_host, void* to) override;

private:
    CudaMemory& memory_;
    const Workspace& room_;
};

} // namespace atelier::ATELIER_CUDA_NS
