// The backend's fixed memory on the card, reserved once and counted in every plan.
#pragma once
#include "memory/memory.h"
#include "ops/cuda/kernels.h"

namespace atelier::ATELIER_CUDA_NS {

// A product whose operands are larger is done in pieces: the weight in slabs of its rows or columns, the other operand
// in chunks of rows.
struct WorkspaceSizes {
    int64_t weight_elements = 3072 * 3072; // bf16, twice as many e4m3; a slab of this size stays in a large card's L2
                                           // cache until its product reads it
    int64_t rows_elements = 1664 * 15360; // bf16; the widest input of a FLUX.1 linear at 512 x 768. Where inputs are
                                          // read in place, room for fp32 sums
    int64_t library_bytes = 32 << 20;
};

uint64_t workspace_bytes(const WorkspaceSizes& sizes); // that a workspace of these sizes reserves

class Workspace {
public:
    Workspace(Memory& memory, const WorkspaceSizes& sizes);
    ~Workspace();
    Workspace(const Workspace&) = delete;
    Workspace& operator=(const Workspace&) = delete;

    uint64_t bytes() const { return bytes_; }
    const WorkspaceSizes& sizes() const { return sizes_; }

    uint16_t* weight = nullptr; // weight_elements
    uint16_t* rows = nullptr; // rows_elements
    void* library = nullptr; // library_bytes
    double* partials = nullptr; // kPartials
    float* scales = nullptr; // of the two operands of an fp8 product
    float* stats = nullptr; // 2 · kMostGroups
    DynamicTables tables{};

private:
    Memory& memory_;
    WorkspaceSizes sizes_;
    uint64_t bytes_ = 0;
    std::byte* base_ = nullptr;
};

} // namespace atelier::ATELIER_CUDA_NS
