// A file as read-only memory. Pages come from disk when touched and can be dropped again: a mapped model is not "in
// memory".
#pragma once
#include <cstddef>
#include <memory>
#include <span>
#include <string>

namespace atelier {

class MappedFile {
public:
    static std::shared_ptr<const MappedFile> open(const std::string& path);
    ~MappedFile();
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;

    const std::string& path() const { return path_; }
    std::span<const std::byte> bytes() const { return {data_, size_}; }
    // Tells the kernel that these bytes will not be read again soon, so that quantising a model does not fill memory
    // with its source.
    void release(std::span<const std::byte> part) const;

private:
    MappedFile(std::string path, const std::byte* data, size_t size)
        : path_(std::move(path)), data_(data), size_(size) {}
    std::string path_;
    const std::byte* data_;
    size_t size_;
};

} // namespace atelier
