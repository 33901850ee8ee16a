#include "formats/weight_source.h"
#include "base/error.h"
#include "base/half.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include "quant/nf4.h"
#include <algorithm>
#include <cmath>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <numeric>
#include <unordered_map>

namespace atelier {
namespace fs = std::filesystem;

struct WeightSource::Contents {
    std::vector<SafetensorsFile> files;
    std::unordered_map<std::string, size_t> file_of; // tensor name -> index into files
    mutable std::deque<std::vector<std::byte>> copies; // of tensors that lie unaligned in their file
};

namespace {

const char kQuantState[] = ".quant_state.bitsandbytes__";

// Names bitsandbytes stores beside a quantised `<name>`.
bool is_quant_companion(const std::string& name, std::string& base) {
    for (const char* suffix : {".absmax", ".quant_map", ".nested_absmax", ".nested_quant_map",
             ".quant_state.bitsandbytes__nf4", ".quant_state.bitsandbytes__fp4"})
        if (name.ends_with(suffix)) {
            base = name.substr(0, name.size() - std::strlen(suffix));
            return true;
        }
    return false;
}

// Names of a component's weights, the one to take first at the front. libs/checkpoint/src/weight-files.ts says it once
// more for whoever has no engine; native/test/goldens/weight_files.json holds both to the same answers.
//
// diffusers and transformers read a variant only where it is asked for by name. Nobody asks here: what is there counts,
// the plain files first, then the more precise ones. Where one file and an index of shards are both there, diffusers
// takes the shards and transformers, whose stem is "model", the file.
std::vector<std::string> weight_names() {
    std::vector<std::string> names;
    for (const std::string variant : {"", ".fp32", ".bf16", ".fp16"}) {
        names.push_back("diffusion_pytorch_model.safetensors.index" + variant + ".json");
        names.push_back("diffusion_pytorch_model.safetensors" + variant + ".index.json"); // of earlier diffusers
        names.push_back("diffusion_pytorch_model" + variant + ".safetensors");
        names.push_back("model" + variant + ".safetensors");
        names.push_back("model.safetensors.index" + variant + ".json");
    }
    return names;
}

std::vector<std::string> shards_of(const std::string& index_path, std::unordered_map<std::string, std::string>& map) {
    const JsonObject map_object = JsonObject::read(index_path).object("weight_map");
    std::set<std::string> shards;
    for (const std::string& name : map_object.keys()) {
        const std::string file = map_object.string(name);
        require(!file.empty() && file == fs::path(file).filename().string() && file.ends_with(".safetensors"),
            ErrorCode::corrupt, index_path, ": tensor ", in_quotes(name), " is said to lie in ", in_quotes(file),
            ", which is not a safetensors file of the same folder");
        map.emplace(name, file);
        shards.insert(file);
    }
    require(!shards.empty(), ErrorCode::corrupt, index_path, ": weight_map is empty");
    return {shards.begin(), shards.end()};
}

[[noreturn]] void no_weights(const std::string& dir) {
    std::error_code ignored;
    require(fs::is_directory(dir, ignored), ErrorCode::not_found, dir, ": no such folder");
    for (const auto& entry : fs::directory_iterator(dir, ignored))
        if (entry.path().extension() == ".bin" || entry.path().extension() == ".pt" ||
            entry.path().extension() == ".gguf")
            fail(ErrorCode::unsupported, entry.path().string(),
                ": only safetensors weights are read; convert it, or get the checkpoint's safetensors files");
    fail(ErrorCode::not_found, dir,
        ": no weights: expected diffusion_pytorch_model.safetensors or model.safetensors, or either with .index.json");
}

void to_float(DType dtype, const std::byte* from, std::span<float> out) {
    if (dtype == DType::f32) {
        std::memcpy(out.data(), from, out.size_bytes());
        return;
    }
    for (size_t i = 0; i < out.size(); ++i) {
        uint16_t bits;
        std::memcpy(&bits, from + 2 * i, 2);
        out[i] = dtype == DType::bf16 ? bf16_to_float(bits) : f16_to_float(bits);
    }
}

bool is_float(DType t) { return t == DType::f32 || t == DType::f16 || t == DType::bf16; }

// Index of the first NaN or infinity, or -1. The exponent bits are all ones in both.
template <class Bits>
int64_t first_not_finite(const std::byte* bytes, int64_t count, Bits exponent) {
    constexpr int64_t kBlock = 4096; // branch-free inside, so that it vectorises
    for (int64_t begin = 0; begin < count; begin += kBlock) {
        const int64_t end = std::min(begin + kBlock, count);
        Bits bad = 0;
        for (int64_t i = begin; i < end; ++i) {
            Bits bits;
            std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof(Bits)), sizeof(Bits));
            bad |= static_cast<Bits>((bits & exponent) == exponent);
        }
        if (!bad) continue;
        for (int64_t i = begin; i < end; ++i) {
            Bits bits;
            std::memcpy(&bits, bytes + i * static_cast<int64_t>(sizeof(Bits)), sizeof(Bits));
            if ((bits & exponent) == exponent) return i;
        }
    }
    return -1;
}

} // namespace

WeightSource WeightSource::open(const std::string& dir) {
    const fs::path folder(dir);
    for (const std::string& name : weight_names()) {
        const std::string path = (folder / name).string();
        std::error_code ignored;
        if (!fs::is_regular_file(path, ignored)) continue;
        WeightSource source = name.ends_with(".json") ? open_shards(path) : open_file(path);
        source.label_ = dir;
        return source;
    }
    no_weights(dir);
}

WeightSource WeightSource::open_shards(const std::string& path) {
    const fs::path index(path);
    WeightSource source;
    source.contents_ = std::make_shared<Contents>();
    const std::string index_name = index.filename().string();
    std::unordered_map<std::string, std::string> map;
    for (const std::string& shard : shards_of(path, map)) {
        const std::string shard_path = (index.parent_path() / shard).string();
        atelier::require(fs::exists(shard_path), ErrorCode::not_found, shard_path, ": this shard is named in ",
            index_name, " but is not there; the download is incomplete");
        source.contents_->files.push_back(SafetensorsFile::open(shard_path));
        for (const auto& [name, tensor] : source.contents_->files.back().tensors()) {
            const auto mapped = map.find(name);
            atelier::require(mapped != map.end() && mapped->second == shard, ErrorCode::corrupt, shard_path,
                ": tensor ", in_quotes(name),
                mapped == map.end() ? " is not named in " : " belongs to another shard by ", index_name);
            source.contents_->file_of[name] = source.contents_->files.size() - 1;
        }
    }
    for (const auto& [name, shard] : map)
        atelier::require(source.find(name), ErrorCode::corrupt, (index.parent_path() / shard).string(), ": tensor ",
            in_quotes(name), " is promised by ", index_name, " but missing");
    return source;
}

WeightSource WeightSource::open_file(const std::string& path) { return of(SafetensorsFile::open(path)); }

WeightSource WeightSource::parse(std::span<const std::byte> file, const std::string& label) {
    return of(SafetensorsFile::parse(file, label));
}

WeightSource WeightSource::of(SafetensorsFile file) {
    WeightSource source;
    source.label_ = file.path();
    source.contents_ = std::make_shared<Contents>();
    source.contents_->files.push_back(std::move(file));
    for (const auto& [name, tensor] : source.contents_->files.front().tensors()) source.contents_->file_of[name] = 0;
    return source;
}

const std::vector<SafetensorsFile>& WeightSource::files() const { return contents_->files; }

uint64_t WeightSource::bytes() const {
    uint64_t total = 0;
    for (const SafetensorsFile& file : contents_->files)
        for (const auto& [name, tensor] : file.tensors()) total += tensor.bytes.size();
    return total;
}

const TensorView* WeightSource::find(const std::string& name) const {
    const auto it = contents_->file_of.find(name);
    return it == contents_->file_of.end() ? nullptr : contents_->files[it->second].find(name);
}

const SafetensorsFile& WeightSource::file_of(const std::string& name) const {
    const auto it = contents_->file_of.find(name);
    atelier::require(it != contents_->file_of.end(), ErrorCode::not_found, label_, ": no tensor ", in_quotes(name));
    return contents_->files[it->second];
}

void WeightSource::check(const std::vector<TensorSpec>& expected, const std::vector<std::string>& ignorable) const {
    std::set<std::string> known(ignorable.begin(), ignorable.end());
    std::vector<std::string> missing, unexpected, misshapen;
    for (const TensorSpec& spec : expected) {
        known.insert(spec.name);
        const TensorView* t = find(spec.name);
        if (!t) missing.push_back(spec.name);
        else if (!prequantized(spec.name) && t->shape != spec.shape)
            misshapen.push_back(spec.name + " " + shape_text(t->shape) + " instead of " + shape_text(spec.shape));
    }
    for (const SafetensorsFile& file : contents_->files)
        for (const auto& [name, tensor] : file.tensors()) {
            std::string base;
            if (!known.count(name) && !(is_quant_companion(name, base) && known.count(base)))
                unexpected.push_back(name);
        }
    if (missing.empty() && unexpected.empty() && misshapen.empty()) return;
    std::string text = label_ + ": the weights do not match the config.json beside them:";
    if (!missing.empty()) text += " missing " + quoted_list(missing) + ";";
    if (!unexpected.empty()) text += " unexpected " + quoted_list(unexpected) + ";";
    if (!misshapen.empty()) text += " wrong shape " + quoted_list(misshapen) + ";";
    text.pop_back();
    fail(missing.empty() ? ErrorCode::corrupt : ErrorCode::not_found, text);
}

const TensorView& WeightSource::require(const std::string& name, const Shape& shape) const {
    const SafetensorsFile& file = file_of(name);
    const TensorView& t = file.require(name);
    atelier::require(t.shape == shape, ErrorCode::corrupt, file.path(), ": tensor ", in_quotes(name), " has shape ",
        shape_text(t.shape), ", expected ", shape_text(shape));
    atelier::require(is_float(t.dtype), ErrorCode::unsupported, file.path(), ": tensor ", in_quotes(name), " is ",
        dtype_name(t.dtype), ", expected F32, F16 or BF16");
    return t;
}

void WeightSource::check_finite(const TensorView& t) const {
    const int64_t n = t.count();
    const int64_t at = t.dtype == DType::f32    ? first_not_finite<uint32_t>(t.bytes.data(), n, 0x7f800000u)
                       : t.dtype == DType::bf16 ? first_not_finite<uint16_t>(t.bytes.data(), n, 0x7f80)
                                                : first_not_finite<uint16_t>(t.bytes.data(), n, 0x7c00);
    atelier::require(at < 0, ErrorCode::corrupt, file_of(t.name).path(), ": tensor ", in_quotes(t.name),
        " holds NaN or infinity at element ", at, "; the weights are damaged");
}

std::vector<float> WeightSource::read_f32(const std::string& name, const Shape& shape) const {
    int64_t count = 1;
    for (int64_t d : shape) count *= d;
    std::vector<float> out(static_cast<size_t>(count));
    read_f32(name, shape, out);
    return out;
}

void WeightSource::read_f32(const std::string& name, const Shape& shape, std::span<float> out) const {
    size_t done = 0;
    for_pieces(
        name, shape, int64_t{1} << 20,
        [&](std::span<const float> piece) {
            atelier::require(
                done + piece.size() <= out.size(), ErrorCode::internal, "room for ", out.size(), " elements of ", name);
            std::copy(piece.begin(), piece.end(), out.begin() + static_cast<std::ptrdiff_t>(done));
            done += piece.size();
        },
        false);
    atelier::require(
        done == out.size(), ErrorCode::internal, "room for ", out.size(), " elements of ", name, ", which has ", done);
}

void WeightSource::for_pieces(const std::string& name, const Shape& shape, int64_t piece,
    const std::function<void(std::span<const float>)>& take, bool release) const {
    if (prequantized(name)) {
        atelier::require(shape.size() == 2, ErrorCode::internal, name, " read with shape ", shape_text(shape));
        const Nf4Data data = nf4(name, shape[0], shape[1]);
        const int64_t count = shape[0] * shape[1];
        std::vector<float> values(static_cast<size_t>(std::min(piece, count)));
        for (int64_t at = 0; at < count; at += piece) {
            const std::span<float> part(values.data(), static_cast<size_t>(std::min(piece, count - at)));
            nf4_dequantize_range(data, at, part);
            take(part);
        }
        return;
    }
    const TensorView& t = require(name, shape);
    check_finite(t);
    const int64_t count = t.count();
    const auto size = static_cast<int64_t>(dtype_size(t.dtype));
    std::vector<float> values(static_cast<size_t>(std::min(piece, count)));
    for (int64_t at = 0; at < count; at += piece) {
        const std::span<float> part(values.data(), static_cast<size_t>(std::min(piece, count - at)));
        const auto bytes = t.bytes.subspan(static_cast<size_t>(at * size), part.size() * static_cast<size_t>(size));
        to_float(t.dtype, bytes.data(), part);
        take(part);
        if (release && file_of(name).mapping()) file_of(name).mapping()->release(bytes);
    }
}

const std::byte* WeightSource::aligned(const TensorView& t) const {
    if (reinterpret_cast<uintptr_t>(t.bytes.data()) % dtype_size(t.dtype) == 0) return t.bytes.data();
    return contents_->copies.emplace_back(t.bytes.begin(), t.bytes.end()).data();
}

Weight WeightSource::weight(const std::string& name, int64_t rows, int64_t cols) const {
    if (!prequantized(name)) return dense(name, {rows, cols});
    Weight w;
    w.rows = rows;
    w.cols = cols;
    w.format = WeightFormat::nf4;
    w.nf4 = nf4(name, rows, cols);
    return w;
}

Weight WeightSource::dense(const std::string& name, const Shape& shape) const {
    const TensorView& t = require(name, shape);
    check_finite(t);
    Weight w;
    w.rows = shape[0];
    w.cols = std::accumulate(shape.begin() + 1, shape.end(), int64_t{1}, std::multiplies<>());
    w.format = t.dtype == DType::f32    ? WeightFormat::f32
               : t.dtype == DType::bf16 ? WeightFormat::bf16
                                        : WeightFormat::f16;
    w.dense = aligned(t);
    return w;
}

bool WeightSource::prequantized(const std::string& name) const {
    return find(name + kQuantState + "nf4") != nullptr || find(name + kQuantState + "fp4") != nullptr;
}

bool WeightSource::any_prequantized() const {
    for (const auto& [name, file] : contents_->file_of)
        if (name.find(kQuantState) != std::string::npos) return true;
    return false;
}

const TensorView& WeightSource::companion(
    const std::string& name, const std::string& suffix, DType dtype, int64_t count) const {
    const std::string full = name + suffix;
    const SafetensorsFile& file = file_of(full);
    const TensorView& t = file.require(full);
    atelier::require(t.dtype == dtype && t.count() == count, ErrorCode::corrupt, file.path(), ": tensor ",
        in_quotes(full), " is ", dtype_name(t.dtype), " ", shape_text(t.shape), ", expected ", count, " of ",
        dtype_name(dtype));
    if (dtype == DType::f32) check_finite(t);
    return t;
}

Nf4Data WeightSource::nf4(const std::string& name, int64_t rows, int64_t cols) const {
    const std::string state_name = name + kQuantState + "nf4";
    atelier::require(!find(name + kQuantState + "fp4"), ErrorCode::unsupported, label_, ": tensor ", in_quotes(name),
        " is quantised to FP4; NF4 is what this engine reads");
    const SafetensorsFile& file = file_of(state_name);
    const TensorView& raw = file.require(state_name);
    const JsonObject state =
        JsonObject::parse(std::string(reinterpret_cast<const char*>(raw.bytes.data()), raw.bytes.size()),
            file.path() + ": " + in_quotes(state_name));
    atelier::require(state.string("quant_type") == "nf4", ErrorCode::unsupported, file.path(), ": ",
        in_quotes(state_name), ": quant_type ", in_quotes(state.string("quant_type")), ", expected nf4");
    atelier::require(state.integer("blocksize", 1) == Nf4Data::kBlock, ErrorCode::unsupported, file.path(), ": ",
        in_quotes(state_name), ": blocksize ", state.integer("blocksize", 1), ", expected 64");
    const Shape shape = state.integers("shape");
    atelier::require(shape == Shape{rows, cols}, ErrorCode::corrupt, file.path(), ": tensor ", in_quotes(name),
        " is quantised with shape ", shape_text(shape), ", expected ", shape_text({rows, cols}));

    const int64_t count = rows * cols, blocks = (count + Nf4Data::kBlock - 1) / Nf4Data::kBlock;
    const auto floats = [&](const char* suffix, int64_t n) {
        return reinterpret_cast<const float*>(aligned(companion(name, suffix, DType::f32, n)));
    };
    Nf4Data data;
    data.packed = reinterpret_cast<const uint8_t*>(companion(name, "", DType::u8, (count + 1) / 2).bytes.data());
    const float* code = floats(".quant_map", 16);
    for (int i = 0; i < 16; ++i)
        atelier::require(std::abs(code[i] - kNf4Code[i]) < 1e-6f, ErrorCode::unsupported, file.path(), ": tensor ",
            in_quotes(name + ".quant_map"), " is not the NF4 code book");
    if (!state.has("nested_blocksize")) {
        data.absmax = floats(".absmax", blocks);
        return nf4_rows(data, cols);
    }
    atelier::require(state.integer("nested_blocksize", 1) == Nf4Data::kNestedBlock, ErrorCode::unsupported, file.path(),
        ": ", in_quotes(state_name), ": nested_blocksize ", state.integer("nested_blocksize", 1), ", expected 256");
    data.absmax8 = reinterpret_cast<const uint8_t*>(companion(name, ".absmax", DType::u8, blocks).bytes.data());
    data.nested_absmax = floats(".nested_absmax", (blocks + Nf4Data::kNestedBlock - 1) / Nf4Data::kNestedBlock);
    data.nested_code = floats(".nested_quant_map", 256);
    data.nested_offset = static_cast<float>(state.number("nested_offset"));
    atelier::require(std::isfinite(data.nested_offset), ErrorCode::corrupt, file.path(), ": ", in_quotes(state_name),
        ": nested_offset is not finite");
    return nf4_rows(data, cols);
}

} // namespace atelier
