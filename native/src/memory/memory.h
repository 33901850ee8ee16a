// The memory a backend's Views point into: the host's own on the CPU, the card's on CUDA. Whoever fills inputs or reads
// outputs goes through here, so that no code above knows which it is.
#pragma once
#include <cstdint>
#include <memory>

namespace atelier {

class Memory {
public:
    static constexpr uint64_t kAlignment = 256; // of what reserve() gives
    virtual ~Memory() = default;

    // Whether the host may read and write it directly.
    virtual bool on_host() const = 0;
    // Bytes that reserve() could still give.
    virtual uint64_t free_bytes() const = 0;
    // Contents are undefined. resource_exhausted, with what was asked and what is free.
    virtual void* reserve(uint64_t bytes) = 0;
    virtual void release(void* data) noexcept = 0;
    // Host memory that transfers run fastest from (page-locked where that means something).
    virtual void* reserve_host(uint64_t bytes) = 0;
    virtual void release_host(void* data) noexcept = 0;

    // In the order of the ops around them; done when they return.
    virtual void upload(void* to, const void* from_host, uint64_t bytes) = 0;
    virtual void download(void* to_host, const void* from, uint64_t bytes) = 0;

    // Transfers beside the ops, each direction on a stream of its own: fetch() brings what lives on the host, park()
    // takes there what makes room. Both begin as soon as the ops issued before are done, and return at once. What is
    // issued after await(slot), ops and transfers, sees what the transfers of `slot` brought and may overwrite what
    // they read: who fetches what was parked awaits the park first.
    static constexpr int kSlots = 8;
    virtual void fetch(int slot, void* to, const void* from_host, uint64_t bytes) = 0;
    virtual void park(int slot, void* to_host, const void* from, uint64_t bytes) = 0;
    virtual void await(int slot) = 0;
};

// What a plan may count on: the free bytes, less a little that a driver takes as it works.
inline uint64_t usable_bytes(const Memory& memory) {
    const uint64_t free = memory.free_bytes();
    return free - free / 32;
}

std::unique_ptr<Memory> make_host_memory();

} // namespace atelier
