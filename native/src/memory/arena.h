// The memory a program runs in: bytes of a backend's memory, reserved once. On the host, pages appear as they are
// touched.
#pragma once
#include "memory/memory.h"
#include <cstddef>
#include <utility>

namespace atelier {

class Arena {
public:
    // resource_exhausted if they are not there.
    Arena(Memory& memory, uint64_t bytes) : memory_(&memory), data_(static_cast<std::byte*>(memory.reserve(bytes))) {}
    Arena(Arena&& other) noexcept : memory_(other.memory_), data_(std::exchange(other.data_, nullptr)) {}
    Arena& operator=(Arena&&) = delete;
    ~Arena() {
        if (data_) memory_->release(data_);
    }
    std::byte* data() const { return data_; }
    Memory& memory() const { return *memory_; }

private:
    Memory* memory_;
    std::byte* data_;
};

// The same of the host's memory: page-locked where that means something.
class HostArena {
public:
    HostArena(Memory& memory, uint64_t bytes)
        : memory_(memory), data_(static_cast<std::byte*>(memory.reserve_host(bytes))) {}
    HostArena(const HostArena&) = delete;
    HostArena& operator=(const HostArena&) = delete;
    ~HostArena() { memory_.release_host(data_); }
    std::byte* data() const { return data_; }

private:
    Memory& memory_;
    std::byte* const data_;
};

} // namespace atelier
