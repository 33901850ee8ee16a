// A card's memory, and the streams that work on it: one for the ops, and for transfers beside them one in each
// direction, which a bus serves at once.
#pragma once
#include "memory/memory.h"
#include "ops/cuda/device.h"
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
    void park(int slot, void* to_host, const void* from, uint64_t bytes) override;
    void await(int slot) override;

    // The ops' stream; the calling thread's CUDA calls go to this card from here on.
    cudaStream_t stream() const;

private:
    void use() const;
    void transfer(cudaStream_t stream, int slot, void* to, const void* from, uint64_t bytes, cudaMemcpyKind kind);

    int device_;
    cudaStream_t ops_ = nullptr, fetches_ = nullptr, parks_ = nullptr;
    cudaEvent_t issued_ = nullptr, arrived_[kSlots] = {};
};

} // namespace atelier::ATELIER_CUDA_NS
