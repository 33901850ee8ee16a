// The cards of this machine, and the backend on one of them. A build without CUDA has the same functions, which say so.
#pragma once
#include "ops/ops.h"
#include <memory>
#include <string>
#include <vector>

namespace atelier {

struct CudaDevice {
    std::string name; // "NVIDIA GeForce RTX 4090"
    int major = 0, minor = 0; // compute capability
    uint64_t total_bytes = 0;
};

// In CUDA's order; empty where no driver or no card is. Asks for nothing that would take memory on a card: what is
// free, a backend's memory knows (Memory::free_bytes).
std::vector<CudaDevice> cuda_devices();

// `fp8`: linears of NF4 weights multiply e4m3 operands. unsupported, with the reason and what to do: no driver, a
// driver that is too old, no such card, a card before compute capability 8.0, with fp8 before 8.9, or one that this
// build has no code for, no cuBLASLt. resource_exhausted when the workspace does not fit.
std::unique_ptr<Ops> make_cuda_ops(int device, bool fp8 = false);

} // namespace atelier
