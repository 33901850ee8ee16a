// The runtime's half of the stand-in: memory, streams and events. Device memory is a region that no code may touch
// except kernels, copies and the matrix product: host code that reads it crashes. A copy on a stream waits until
// somebody waits for it, so that what forgot to wait reads what was there before; or it is done when it is issued, so
// that what overwrites too early shows.
#pragma once
#include <cstddef>
#include <cstdint>
#include <functional>

enum cudaError_t {
    cudaSuccess,
    cudaErrorInvalidValue,
    cudaErrorMemoryAllocation,
    cudaErrorInsufficientDriver,
    cudaErrorNoDevice
};
const char* cudaGetErrorString(cudaError_t);

struct EmulatedStream;
struct EmulatedEvent;
using cudaStream_t = EmulatedStream*; // null: the default stream
using cudaEvent_t = EmulatedEvent*;
enum cudaMemcpyKind { cudaMemcpyHostToDevice, cudaMemcpyDeviceToHost };
constexpr unsigned cudaStreamNonBlocking = 1, cudaEventDisableTiming = 2;

cudaError_t cudaSetDevice(int);
cudaError_t cudaMalloc(void** data, size_t bytes);
cudaError_t cudaFree(void* data);
cudaError_t cudaMallocHost(void** data, size_t bytes);
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaMemGetInfo(size_t* free, size_t* total);
cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t);
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t);
cudaError_t cudaStreamCreateWithFlags(cudaStream_t*, unsigned);
cudaError_t cudaStreamDestroy(cudaStream_t);
cudaError_t cudaStreamSynchronize(cudaStream_t);
cudaError_t cudaStreamWaitEvent(cudaStream_t, cudaEvent_t, unsigned);
cudaError_t cudaEventCreateWithFlags(cudaEvent_t*, unsigned);
cudaError_t cudaEventDestroy(cudaEvent_t);
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t);

namespace emulated {

// Opens device memory while it lives: what a card's engines may do. Also the emulator's one lock: there is one card.
class DeviceAccess {
public:
    DeviceAccess();
    ~DeviceAccess();
    DeviceAccess(const DeviceAccess&) = delete;
    DeviceAccess& operator=(const DeviceAccess&) = delete;
};

void finish(cudaStream_t); // runs what the stream still has to do
bool has_memory();                   // whether anything was ever reserved on the card
bool on_device(const void* address); // in what is reserved now
// Throws if the word is the address of something of the host's, once there is memory on the card.
void refuse_host_address(uint64_t word);

enum class Copies { late, early }; // as late, or as early, as the streams allow
void set_copies(Copies);
uint64_t copied_to_device();         // bytes since the start
uint64_t reserved();                 // bytes now, with what the emulator adds to each piece
uint64_t most_reserved();            // of those the most since the last watch_reserved()
void watch_reserved();

} // namespace emulated
