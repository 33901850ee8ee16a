#include "formats/safetensors.h"
#include "base/atomic_file.h"
#include "base/error.h"
#include "formats/foreign.h"
#include "formats/text.h"
#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

namespace atelier {
namespace {

using nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000; // the reference library's limit

// Element count times size, or false when it does not fit.
bool byte_count(const Shape& shape, DType dtype, uint64_t& out) {
    out = dtype_size(dtype);
    for (int64_t d : shape)
        if (__builtin_mul_overflow(out, static_cast<uint64_t>(d), &out)) return false;
    return true;
}

uint64_t unsigned_at(const json& value, const std::string& path, const std::string& name, const char* field) {
    if (!value.is_number_unsigned() || value.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX))
        fail(ErrorCode::corrupt, path, ": tensor ", in_quotes(name), ": ", field, " holds ", brief(value.dump()),
            ", expected a whole number >= 0");
    return value.get<uint64_t>();
}

const json& member(const json& entry, const char* field, bool array, const std::string& path, const std::string& name) {
    const auto it = entry.find(field);
    if (it == entry.end() || (array ? !it->is_array() : !it->is_string()))
        fail(ErrorCode::corrupt, path, ": tensor ", in_quotes(name), " has no valid ", field, " in the header");
    return *it;
}

TensorView read_entry(
    const std::string& path, const std::string& name, const json& entry, std::span<const std::byte> data) {
    require(entry.is_object(), ErrorCode::corrupt, path, ": header entry ", in_quotes(name), " is not an object");
    TensorView t;
    t.name = name;
    const std::string dtype = member(entry, "dtype", false, path, name).get<std::string>();
    require(dtype_from_name(dtype, t.dtype), ErrorCode::unsupported, path, ": tensor ", in_quotes(name),
        " has the unknown dtype ", in_quotes(dtype));
    for (const json& d : member(entry, "shape", true, path, name))
        t.shape.push_back(static_cast<int64_t>(unsigned_at(d, path, name, "shape")));
    const json& offsets = member(entry, "data_offsets", true, path, name);
    require(offsets.size() == 2, ErrorCode::corrupt, path, ": tensor ", in_quotes(name), " has ", offsets.size(),
        " data_offsets instead of 2");
    const uint64_t begin = unsigned_at(offsets[0], path, name, "data_offsets"),
                   end = unsigned_at(offsets[1], path, name, "data_offsets");
    require(begin <= end, ErrorCode::corrupt, path, ": tensor ", in_quotes(name), " ends at ", end,
        ", before its start ", begin);
    require(end <= data.size(), ErrorCode::corrupt, path, ": tensor ", in_quotes(name), " ends at byte ", end, " of ",
        data.size(), ": the file is truncated or its offsets are wrong; download or copy it again");
    uint64_t wanted = 0;
    require(byte_count(t.shape, t.dtype, wanted) && wanted == end - begin, ErrorCode::corrupt, path, ": tensor ",
        in_quotes(name), " of shape ", shape_text(t.shape), " and dtype ", dtype, " does not fit its ", end - begin,
        " bytes");
    t.bytes = data.subspan(begin, end - begin);
    return t;
}

// The tensors must tile the data exactly: overlap would alias weights, holes would hide bytes.
void check_tiling(
    const std::string& path, const std::map<std::string, TensorView>& tensors, std::span<const std::byte> data) {
    std::vector<const TensorView*> order;
    for (const auto& [name, t] : tensors) order.push_back(&t);
    std::sort(order.begin(), order.end(), [](const TensorView* a, const TensorView* b) {
        return a->bytes.data() != b->bytes.data() ? a->bytes.data() < b->bytes.data()
                                                  : a->bytes.size() < b->bytes.size();
    });
    const std::byte* at = data.data();
    for (const TensorView* t : order) {
        require(t->bytes.data() >= at, ErrorCode::corrupt, path, ": tensor ", in_quotes(t->name),
            " overlaps the one before it");
        require(t->bytes.data() == at, ErrorCode::corrupt, path, ": ", t->bytes.data() - at,
            " unused bytes before tensor ", in_quotes(t->name));
        at += t->bytes.size();
    }
    const auto rest = static_cast<size_t>(data.data() + data.size() - at);
    require(rest == 0, ErrorCode::corrupt, path, ": ", rest, " bytes after the last tensor");
}

} // namespace

std::string shape_text(const Shape& shape) {
    std::string text = "[";
    for (size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
    return text + "]";
}

SafetensorsFile SafetensorsFile::open(const std::string& path) {
    SafetensorsFile file;
    file.path_ = path;
    file.mapping_ = MappedFile::open(path);
    file.read(file.mapping_->bytes());
    return file;
}

SafetensorsFile SafetensorsFile::parse(std::span<const std::byte> bytes, const std::string& label) {
    SafetensorsFile file;
    file.path_ = label;
    file.read(bytes);
    return file;
}

void SafetensorsFile::read(std::span<const std::byte> bytes) {
    const std::string foreign = foreign_kind(bytes);
    atelier::require(foreign.empty(), ErrorCode::corrupt, path_, ": this is ", foreign);
    atelier::require(
        bytes.size() >= 8, ErrorCode::corrupt, path_, ": ", bytes.size(), " bytes, too short for a safetensors file");
    uint64_t header_size = 0;
    for (size_t i = 0; i < 8; ++i) header_size |= static_cast<uint64_t>(bytes[i]) << (8 * i);
    atelier::require(header_size <= kMaxHeader && header_size <= bytes.size() - 8, ErrorCode::corrupt, path_,
        ": claims a header of ", header_size, " bytes in a file of ", bytes.size(),
        ": not a safetensors file, or truncated");
    const char* text = reinterpret_cast<const char*>(bytes.data()) + 8;
    json header;
    try {
        header = json::parse(text, text + header_size);
    } catch (const json::exception& e) {
        const bool encoding = std::string_view(e.what()).find("UTF-8") != std::string_view::npos;
        fail(ErrorCode::corrupt, path_, ": the header is not ", encoding ? "UTF-8: " : "JSON: ", brief(e.what()));
    }
    atelier::require(header.is_object(), ErrorCode::corrupt, path_, ": the header is not a JSON object");
    const std::span<const std::byte> data = bytes.subspan(8 + header_size);
    for (const auto& [name, entry] : header.items()) {
        if (name != "__metadata__") {
            tensors_.emplace(name, read_entry(path_, name, entry, data));
            continue;
        }
        read_metadata(entry);
    }
    check_tiling(path_, tensors_, data);
}

// Only texts are allowed there; some writers put numbers or nothing, which harm nobody.
void SafetensorsFile::read_metadata(const nlohmann::json& entries) {
    if (entries.is_null()) return;
    atelier::require(entries.is_object(), ErrorCode::corrupt, path_, ": __metadata__ is not an object");
    for (const auto& [key, value] : entries.items())
        if (!value.is_null()) metadata_[key] = value.is_string() ? value.get<std::string>() : value.dump();
}

const TensorView* SafetensorsFile::find(const std::string& name) const {
    const auto it = tensors_.find(name);
    return it == tensors_.end() ? nullptr : &it->second;
}

const TensorView& SafetensorsFile::require(const std::string& name) const {
    const TensorView* t = find(name);
    if (!t) fail(ErrorCode::not_found, path_, ": no tensor ", in_quotes(name));
    return *t;
}

const TensorView& SafetensorsFile::require(const std::string& name, DType dtype, const Shape& shape) const {
    const TensorView& t = require(name);
    if (t.dtype != dtype || t.shape != shape)
        fail(ErrorCode::corrupt, path_, ": tensor ", in_quotes(name), " is ", dtype_name(t.dtype), " ",
            shape_text(t.shape), ", expected ", dtype_name(dtype), " ", shape_text(shape));
    return t;
}

void SafetensorsWriter::add(
    const std::string& name, DType dtype, const Shape& shape, std::span<const std::byte> bytes) {
    uint64_t wanted = 0;
    require(byte_count(shape, dtype, wanted) && wanted == bytes.size(), ErrorCode::internal, "tensor ", name,
        " of shape ", shape_text(shape), " given as ", bytes.size(), " bytes");
    require(tensors_.emplace(name, TensorView{name, dtype, shape, bytes}).second, ErrorCode::internal, "tensor ", name,
        " written twice");
}

void SafetensorsWriter::add(const std::string& name, const Shape& shape, std::span<const float> values) {
    add(name, DType::f32, shape, std::as_bytes(values));
}

std::string SafetensorsWriter::header(std::vector<const TensorView*>& order) const {
    for (const auto& [name, t] : tensors_) order.push_back(&t);
    std::stable_sort(order.begin(), order.end(),
        [](const TensorView* a, const TensorView* b) { return dtype_size(a->dtype) > dtype_size(b->dtype); });
    nlohmann::ordered_json root = nlohmann::ordered_json::object();
    if (!metadata_.empty()) root["__metadata__"] = metadata_;
    uint64_t offset = 0;
    for (const TensorView* t : order) {
        root[t->name] = {
            {"dtype", dtype_name(t->dtype)}, {"shape", t->shape}, {"data_offsets", {offset, offset + t->bytes.size()}}};
        offset += t->bytes.size();
    }
    std::string text = root.dump();
    text.append((8 - text.size() % 8) % 8, ' ');
    std::string head(8, '\0');
    for (size_t i = 0; i < 8; ++i) head[i] = static_cast<char>(text.size() >> (8 * i) & 0xff);
    return head + text;
}

std::vector<std::byte> SafetensorsWriter::to_bytes() const {
    std::vector<const TensorView*> order;
    const std::string head = header(order);
    std::vector<std::byte> out(head.size());
    std::memcpy(out.data(), head.data(), head.size());
    for (const TensorView* t : order) out.insert(out.end(), t->bytes.begin(), t->bytes.end());
    return out;
}

void SafetensorsWriter::write(const std::string& path) const {
    std::vector<const TensorView*> order;
    const std::string head = header(order);
    AtomicFile file(path);
    file.append(std::as_bytes(std::span(head)));
    for (const TensorView* t : order) file.append(t->bytes);
    file.commit();
}

} // namespace atelier
