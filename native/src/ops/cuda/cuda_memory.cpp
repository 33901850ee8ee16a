#include "ops/cuda/cuda_memory.h"

namespace atelier::ATELIER_CUDA_NS {

CudaMemory::CudaMemory(int device) : device_(device) {
    use();
    check(cudaStreamCreateWithFlags(&ops_, cudaStreamNonBlocking), "stream of the ops");
    check(cudaStreamCreateWithFlags(&fetches_, cudaStreamNonBlocking), "stream of the fetches");
    check(cudaStreamCreateWithFlags(&parks_, cudaStreamNonBlocking), "stream of what is parked");
    check(cudaEventCreateWithFlags(&issued_, cudaEventDisableTiming), "event");
    for (cudaEvent_t& event : arrived_) check(cudaEventCreateWithFlags(&event, cudaEventDisableTiming), "event");
}

CudaMemory::~CudaMemory() {
    cudaSetDevice(device_);
    for (cudaStream_t stream : {fetches_, parks_, ops_}) cudaStreamSynchronize(stream);
    for (cudaEvent_t event : arrived_) cudaEventDestroy(event);
    cudaEventDestroy(issued_);
    for (cudaStream_t stream : {fetches_, parks_, ops_}) cudaStreamDestroy(stream);
}

void CudaMemory::use() const { check(cudaSetDevice(device_), "choosing the card"); }

cudaStream_t CudaMemory::stream() const {
    use();
    return ops_;
}

uint64_t CudaMemory::free_bytes() const {
    use();
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "asking for free memory");
    return free;
}

void* CudaMemory::reserve(uint64_t bytes) {
    use();
    void* data = nullptr;
    const cudaError_t error = cudaMalloc(&data, bytes ? bytes : kAlignment);
    require(error != cudaErrorMemoryAllocation, ErrorCode::resource_exhausted, bytes,
        " bytes cannot be reserved on CUDA device ", device_, "; ", free_bytes(),
        " are free: choose a smaller memory budget, or end what else uses the card");
    check(error, "reserving memory");
    return data;
}

void CudaMemory::release(void* data) noexcept {
    cudaSetDevice(device_);
    for (cudaStream_t stream : {fetches_, parks_, ops_}) cudaStreamSynchronize(stream);
    cudaFree(data);
}

void* CudaMemory::reserve_host(uint64_t bytes) {
    use();
    void* data = nullptr;
    const cudaError_t error = cudaMallocHost(&data, bytes ? bytes : kAlignment);
    require(error != cudaErrorMemoryAllocation, ErrorCode::resource_exhausted, bytes,
        " bytes of page-locked host memory cannot be reserved; they are never swapped out, so the "
        "machine needs them free");
    check(error, "reserving page-locked memory");
    return data;
}

void CudaMemory::release_host(void* data) noexcept {
    cudaSetDevice(device_);
    for (cudaStream_t stream : {fetches_, parks_}) cudaStreamSynchronize(stream);
    cudaFreeHost(data);
}

void CudaMemory::upload(void* to, const void* from_host, uint64_t bytes) {
    check(cudaMemcpyAsync(to, from_host, bytes, cudaMemcpyHostToDevice, stream()), "upload");
    check(cudaStreamSynchronize(ops_), "upload, or an op before it");
}

void CudaMemory::download(void* to_host, const void* from, uint64_t bytes) {
    check(cudaMemcpyAsync(to_host, from, bytes, cudaMemcpyDeviceToHost, stream()), "download");
    check(cudaStreamSynchronize(ops_), "download, or an op before it");
}

void CudaMemory::fetch(int slot, void* to, const void* from_host, uint64_t bytes) {
    transfer(fetches_, slot, to, from_host, bytes, cudaMemcpyHostToDevice);
}
void CudaMemory::park(int slot, void* to_host, const void* from, uint64_t bytes) {
    transfer(parks_, slot, to_host, from, bytes, cudaMemcpyDeviceToHost);
}

void CudaMemory::transfer(
    cudaStream_t stream, int slot, void* to, const void* from, uint64_t bytes, cudaMemcpyKind kind) {
    require(slot >= 0 && slot < kSlots, ErrorCode::internal, "transfer: slot ", slot);
    use();
    // The ops before may still read `to` or write `from`. They may also wait for another transfer, which this one then
    // follows.
    check(cudaEventRecord(issued_, ops_), "transfer");
    check(cudaStreamWaitEvent(stream, issued_, 0), "transfer");
    check(cudaMemcpyAsync(to, from, bytes, kind, stream), "transfer");
    check(cudaEventRecord(arrived_[slot], stream), "transfer");
}

void CudaMemory::await(int slot) {
    require(slot >= 0 && slot < kSlots, ErrorCode::internal, "await: slot ", slot);
    check(cudaStreamWaitEvent(stream(), arrived_[slot], 0), "waiting for a transfer");
}

} // namespace atelier::ATELIER_CUDA_NS
