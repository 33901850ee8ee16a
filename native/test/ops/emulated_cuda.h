// The CUDA backend on the CPU, through the emulator: every op, with its own memory that only kernels and copies may
// touch. Slow; for small models.
#pragma once
#include "ops/ops.h"
#include <memory>

namespace atelier::test {

struct Emulated {
    bool cramped = false; // a workspace so small that products are done in many slabs and chunks
    DType activations = DType::f32;
    bool fp8 = false; // products of NF4 weights
    bool wrong_scale = false; // a library that multiplies fp8 by twice the scale
};
std::unique_ptr<Ops> make_emulated_cuda_ops(const Emulated& = {});

uint64_t card_workspace_bytes(); // of the backend as a card gets it

} // namespace atelier::test
