// A file that appears under its name whole or not at all: written beside it, synced, renamed. Dropped without commit()
// it leaves nothing.
#pragma once
#include <cstddef>
#include <span>
#include <string>

namespace atelier {

class AtomicFile {
public:
    explicit AtomicFile(const std::string& path); // the folder must exist
    ~AtomicFile();
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;

    void append(std::span<const std::byte> bytes); // resource_exhausted when the disk is full
    void commit();

private:
    [[noreturn]] void fail_with(const char* what) const;

    std::string path_, temporary_;
    int fd_ = -1;
};

} // namespace atelier
