// A card's memory, and the two streams that work on it: one for the ops, one for transfers beside them.
#pragma once
#include "ops/cuda/device.h"
#include "ops/memory.h"
#include <string>

namespace atelier::ATELIER_CUDA_NS {

class CudaMemory final : public Memory {
public:
    explicit CudaMemory(int device); // internal, with CUDA's own words, where the card cannot be used
    ~CudaMemory() override;

    bool on_host() const override { return false; }
    uint64_t free_bytes() const override;
    void* reserve(uint64_t bytes) override;
    void release(void* data) noexcept override;
    void* reserve_host(uint64_t bytes) override;
    void release_host(void* data) noexcept override;
    void upload(void* to, const void* from_host, uint64_t bytes) override;
    void download(void* to_host, const void* from, uint64_t bytes) override;
    void fetch(int slot, void* to, const void* from_host, uint64_t bytes) override;
    void await(int slot) override;

    // The ops' stream; the calling thread's CUDA calls go to this card from here on.
    cudaStream_t stream() const;

private:
    void use() const;

    int device_;
    cudaStream_t ops_ = nullptr, transfers_ = nullptr;
    cudaEvent_t issued_ = nullptr, arrived_[kSlots] = {};
};

} // namespace atelier::ATELIER_CUDA_NS
