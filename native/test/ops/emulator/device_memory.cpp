#include "device_memory.h"
#include "counting.h"
#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <sys/mman.h>
#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

struct EmulatedStream {
    std::deque<std::function<void()>> work;
    uint64_t issued = 0, done = 0;
    void run_to(uint64_t end) {
        while (done < end && !work.empty()) {
            const auto next = std::move(work.front());
            work.pop_front();
            ++done;
            next();
        }
    }
};
struct EmulatedEvent {
    EmulatedStream* stream = nullptr;
    uint64_t after = 0;
};

namespace emulated {
namespace {

constexpr size_t kCard = size_t{1} << 30, kGranule = 256;

// AddressSanitizer, where it is built in, reports what kernels read or write outside the reserved pieces.
void forbid([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_poison_memory_region(data, bytes);
#endif
}
void permit([[maybe_unused]] const void* data, [[maybe_unused]] size_t bytes) {
#if defined(__SANITIZE_ADDRESS__)
    __asan_unpoison_memory_region(data, bytes);
#endif
}

// Reserved pieces by offset; the gaps are free. Freed pieces are filled, so that what is read after its release shows.
struct Card {
    unsigned char* base = nullptr;
    std::map<size_t, size_t> pieces;
    size_t used = 0, most = 0;
    int open = 0;
    std::recursive_mutex mutex;

    Card() {
        void* region = mmap(nullptr, kCard, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (region == MAP_FAILED) throw std::runtime_error("emulator: no address space for a card");
        base = static_cast<unsigned char*>(region);
        forbid(base, kCard);
    }
    void protect(int protection) const {
        if (mprotect(base, kCard, protection) != 0) throw std::runtime_error("emulator: mprotect failed");
    }
    void* reserve(size_t bytes) {
        const size_t size =
            (bytes + kGranule - 1) / kGranule * kGranule + kGranule; // one granule lies between two pieces
        size_t at = 0;
        for (const auto& [begin, length] : pieces) {
            if (begin - at >= size) break;
            at = begin + length;
        }
        if (kCard - at < size) return nullptr;
        pieces[at] = size;
        used += size;
        most = std::max(most, used);
        const DeviceAccess access;
        permit(base + at, size);
        std::memset(base + at, 0xff, size); // NaN: reading what nobody wrote shows
        forbid(base + at + bytes, size - bytes);
        return base + at;
    }
};

Card& card() {
    static Card& one = *new Card; // outlives every static
    return one;
}
bool reserved_once = false, early_copies = false;
uint64_t uploaded = 0;
EmulatedStream& default_stream() {
    static EmulatedStream stream;
    return stream;
}
EmulatedStream& stream_of(cudaStream_t stream) { return stream ? *stream : default_stream(); }

cudaError_t enqueue(cudaStream_t stream, std::function<void()> work) {
    const std::lock_guard lock(card().mutex);
    EmulatedStream& s = stream_of(stream);
    s.work.push_back(std::move(work));
    ++s.issued;
    return cudaSuccess;
}

} // namespace

DeviceAccess::DeviceAccess() {
    card().mutex.lock();
    if (card().open++ == 0 && reserved_once) card().protect(PROT_READ | PROT_WRITE);
}
DeviceAccess::~DeviceAccess() {
    if (--card().open == 0 && reserved_once) card().protect(PROT_NONE);
    card().mutex.unlock();
}

void finish(cudaStream_t stream) {
    const std::lock_guard lock(card().mutex);
    stream_of(stream).run_to(stream_of(stream).issued);
}
void set_copies(Copies when) { early_copies = when == Copies::early; }
uint64_t copied_to_device() { return uploaded; }
uint64_t reserved() { return card().used; }
uint64_t most_reserved() { return card().most; }
void watch_reserved() { card().most = card().used; }
bool has_memory() { return reserved_once; }
bool on_device(const void* address) {
    const std::lock_guard lock(card().mutex);
    const auto* at = static_cast<const unsigned char*>(address);
    if (at < card().base || at >= card().base + kCard) return false;
    const size_t offset = static_cast<size_t>(at - card().base);
    const auto after = card().pieces.upper_bound(offset);
    return after != card().pieces.begin() && offset < std::prev(after)->first + std::prev(after)->second;
}

void refuse_host_address(uint64_t word) {
    constexpr uint64_t kPage = 4096, kFirst = uint64_t{1} << 32,
                       kLast = uint64_t{1} << 47; // where programs and their heaps lie
    if (!has_memory() || word < kFirst || word >= kLast || on_device(reinterpret_cast<const void*>(word))) return;
    const bool mapped = msync(reinterpret_cast<void*>(word / kPage * kPage), 1, MS_ASYNC) == 0;
    if (mapped)
        throw std::runtime_error("emulator: a kernel is given an address of the host's, which a card cannot read");
}

} // namespace emulated

using namespace emulated;

const char* cudaGetErrorString(cudaError_t error) {
    return error == cudaErrorMemoryAllocation ? "out of memory"
           : error == cudaSuccess             ? "no error"
           : error == cudaErrorNoDevice       ? "no CUDA-capable device is detected"
                                              : "invalid argument";
}
cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : cudaErrorInvalidValue; }

cudaError_t cudaMalloc(void** data, size_t bytes) {
    const std::lock_guard lock(card().mutex);
    if (counting()) {
        *data = counted_memory(bytes);
        return cudaSuccess;
    }
    reserved_once = true;
    *data = card().reserve(bytes);
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFree(void* data) {
    if (!data || counting()) return cudaSuccess;
    const std::lock_guard lock(card().mutex);
    const auto piece = card().pieces.find(static_cast<size_t>(static_cast<unsigned char*>(data) - card().base));
    if (piece == card().pieces.end()) return cudaErrorInvalidValue;
    {
        const DeviceAccess access;
        permit(data, piece->second);
        std::memset(data, 0xff, piece->second);
        forbid(data, piece->second);
    }
    card().used -= piece->second;
    card().pieces.erase(piece);
    return cudaSuccess;
}
cudaError_t cudaMallocHost(void** data, size_t bytes) {
    *data = std::aligned_alloc(kGranule, bytes / kGranule * kGranule + kGranule);
    if (*data) std::memset(*data, 0xff, bytes); // NaN, as on the card
    return *data ? cudaSuccess : cudaErrorMemoryAllocation;
}
cudaError_t cudaFreeHost(void* data) {
    std::free(data);
    return cudaSuccess;
}
cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
    *total = kCard;
    *free = kCard - card().used;
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
    if (bytes == 0) return cudaSuccess;
    if (counting()) return count(static_cast<double>(bytes)), cudaSuccess;
    const auto inside = [&](const void* first) {
        return on_device(first) && on_device(static_cast<const unsigned char*>(first) + bytes - 1);
    };
    const bool up = kind == cudaMemcpyHostToDevice;
    if (!inside(up ? to : from) || on_device(up ? from : to)) return cudaErrorInvalidValue;
    if (up) uploaded += bytes;
    const cudaError_t error = enqueue(stream, [=] {
        const DeviceAccess access;
        std::memcpy(to, from, bytes);
    });
    if (early_copies) finish(stream);
    return error;
}
cudaError_t cudaMemsetAsync(void* to, int value, size_t bytes, cudaStream_t stream) {
    if (counting()) return count(static_cast<double>(bytes)), cudaSuccess;
    return enqueue(stream, [=] {
        const DeviceAccess access;
        std::memset(to, value, bytes);
    });
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
    *stream = new EmulatedStream;
    return cudaSuccess;
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
    finish(stream);
    delete stream;
    return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
    finish(stream);
    return cudaSuccess;
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
    if (!event->stream) return cudaSuccess; // never recorded: done
    return enqueue(stream, [other = event->stream, after = event->after] { other->run_to(after); });
}
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned) {
    *event = new EmulatedEvent;
    return cudaSuccess;
}
cudaError_t cudaEventDestroy(cudaEvent_t event) {
    delete event;
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
    const std::lock_guard lock(card().mutex);
    event->stream = &stream_of(stream);
    event->after = event->stream->issued;
    return cudaSuccess;
}
