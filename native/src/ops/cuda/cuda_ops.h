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

// What of CUDA is in this build: "CUDA 13.0 for 8.0, 8.9", or "no CUDA".
std::string cuda_build();

// Of what a check of its kernels holds for: the card, its driver, cuBLASLt. require_cuda_device() passes it.
std::string cuda_identity(int device);

// Throws what make_cuda_ops() would refuse of a card, without taking anything on it: no context is made there, so that
// one that is only asked about stays free. Memory that is short, it does not see.
void require_cuda_device(int device, bool fp8 = false);

// `fp8`: linears of NF4 weights multiply e4m3 operands. unsupported, with the reason and what to do: no driver, a
// driver that is too old, no such card, a card before compute capability 8.0, with fp8 before 8.9, or one that this
// build has no code for, no cuBLASLt. resource_exhausted when the workspace does not fit.
std::unique_ptr<Ops> make_cuda_ops(int device, bool fp8 = false);

} // namespace atelier
