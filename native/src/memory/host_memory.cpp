// The host's memory as a backend's. A transfer is a copy that is done at once: on the CPU there is nothing to hide it
// behind.
#include "base/error.h"
#include "memory/memory.h"
#include <cstdlib>
#include <cstring>
#include <unistd.h>

namespace atelier {
namespace {

class HostMemory final : public Memory {
public:
    bool on_host() const override { return true; }
    uint64_t free_bytes() const override {
        return static_cast<uint64_t>(sysconf(_SC_AVPHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    }
    void* reserve(uint64_t bytes) override {
        void* data = std::aligned_alloc(
            kAlignment, (bytes + kAlignment - 1) / kAlignment * kAlignment + (bytes ? 0 : kAlignment));
        require(data != nullptr, ErrorCode::resource_exhausted, bytes, " bytes of working memory cannot be reserved; ",
            free_bytes(), " are free");
        return data;
    }
    void release(void* data) noexcept override { std::free(data); }
    void* reserve_host(uint64_t bytes) override { return reserve(bytes); }
    void release_host(void* data) noexcept override { std::free(data); }
    void upload(void* to, const void* from_host, uint64_t bytes) override { std::memcpy(to, from_host, bytes); }
    void download(void* to_host, const void* from, uint64_t bytes) override { std::memcpy(to_host, from, bytes); }
    void fetch(int, void* to, const void* from_host, uint64_t bytes) override { std::memcpy(to, from_host, bytes); }
    void park(int, void* to_host, const void* from, uint64_t bytes) override { std::memcpy(to_host, from, bytes); }
    void await(int) override {}
};

} // namespace

std::unique_ptr<Memory> make_host_memory() { return std::make_unique<HostMemory>(); }

} // namespace atelier
