// safetensors files: an 8-byte header size, a JSON header, then the tensors' bytes without gaps. Reading maps the file
// and trusts nothing in it; writing is atomic. Format: github.com/huggingface/safetensors.
#pragma once
#include "base/mapped_file.h"
#include "tensor/dtype.h"
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <span>
#include <string>
#include <vector>

namespace atelier {

using Shape = std::vector<int64_t>;
std::string shape_text(const Shape&); // "[64, 3, 3]"

struct TensorView {
    std::string name;
    DType dtype = DType::f32;
    Shape shape;
    std::span<const std::byte> bytes; // not necessarily aligned to the dtype

    int64_t count() const { return static_cast<int64_t>(bytes.size() / dtype_size(dtype)); }
};

// A parsed file. Tensors point into the mapping (or the caller's memory) and live as long as it does.
class SafetensorsFile {
public:
    // Throws not_found for a file that cannot be opened, corrupt or unsupported with file and tensor for any other
    // fault.
    static SafetensorsFile open(const std::string& path);
    // `label` stands for the file's name in errors; `bytes` must outlive the object.
    static SafetensorsFile parse(std::span<const std::byte> bytes, const std::string& label);

    const std::string& path() const { return path_; }
    const std::map<std::string, TensorView>& tensors() const { return tensors_; }
    const std::map<std::string, std::string>& metadata() const { return metadata_; }
    const TensorView* find(const std::string& name) const;
    const TensorView& require(const std::string& name) const;                     // not_found
    const TensorView& require(const std::string& name, DType, const Shape&) const; // not_found, corrupt
    const std::shared_ptr<const MappedFile>& mapping() const { return mapping_; } // null for parsed memory

private:
    void read(std::span<const std::byte> bytes);
    void read_metadata(const nlohmann::json& entries);

    std::string path_;
    std::shared_ptr<const MappedFile> mapping_;
    std::map<std::string, TensorView> tensors_;
    std::map<std::string, std::string> metadata_;
};

// Collects tensors by reference (their bytes must outlive the writer) and writes them widest type first, then by name,
// as the reference library does, so that every tensor is aligned to its type.
class SafetensorsWriter {
public:
    void set_metadata(const std::string& key, const std::string& value) { metadata_[key] = value; }
    void add(const std::string& name, DType dtype, const Shape& shape, std::span<const std::byte> bytes);
    void add(const std::string& name, const Shape& shape, std::span<const float> values);

    std::vector<std::byte> to_bytes() const;
    // Appears under `path` whole or not at all: written beside it, synced, renamed.
    void write(const std::string& path) const;

private:
    std::string header(std::vector<const TensorView*>& order) const;

    std::map<std::string, TensorView> tensors_;
    std::map<std::string, std::string> metadata_;
};

} // namespace atelier
