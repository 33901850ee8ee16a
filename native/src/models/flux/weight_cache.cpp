#include "models/flux/weight_cache.h"
#include "base/error.h"
#include "quant/dynamic_map.h"
#include <cstdio>
#include <cstring>
#include <filesystem>

namespace atelier {
namespace fs = std::filesystem;
namespace {

constexpr uint64_t kVersion = 1;

// FNV-1a, 64 bits.
class Fingerprint {
public:
    void add(std::span<const std::byte> bytes) {
        for (std::byte b : bytes) hash_ = (hash_ ^ static_cast<uint64_t>(b)) * 0x100000001b3ull;
    }
    void add(uint64_t value) { add(std::as_bytes(std::span(&value, 1))); }
    std::string text() const {
        char out[17];
        std::snprintf(out, sizeof out, "%016llx", static_cast<unsigned long long>(hash_));
        return out;
    }

private:
    uint64_t hash_ = 0xcbf29ce484222325ull;
};

void add_file(Fingerprint& print, const SafetensorsFile& file) {
    constexpr size_t kSamples = 64, kSampleBytes = 4096;
    const auto bytes = file.mapping()->bytes();
    std::error_code ignored;
    print.add(bytes.size());
    print.add(static_cast<uint64_t>(fs::last_write_time(file.path(), ignored).time_since_epoch().count()));
    uint64_t header = 0;
    std::memcpy(&header, bytes.data(), sizeof header); // checked when the file was opened
    print.add(bytes.subspan(0, sizeof header + static_cast<size_t>(header)));
    for (size_t i = 0; i < kSamples; ++i) {
        const size_t at = (bytes.size() / kSamples) * i;
        print.add(bytes.subspan(at, std::min(kSampleBytes, bytes.size() - at)));
    }
}

std::span<const std::byte> raw(const auto& values) { return std::as_bytes(std::span(values)); }

} // namespace

std::string weight_cache_file(const std::string& cache_dir, const WeightSource& source, BaseQuant quant) {
    Fingerprint print;
    print.add(kVersion);
    for (const SafetensorsFile& file : source.files()) add_file(print, file);
    return (fs::path(cache_dir) / ("transformer-" + print.text() +
                                      (quant == BaseQuant::nf4_double ? "-nf4-double" : "-nf4") + ".safetensors"))
        .string();
}

std::optional<SafetensorsFile> open_weight_cache(const std::string& file) {
    std::error_code ignored;
    if (!fs::exists(file, ignored)) return std::nullopt;
    try {
        return SafetensorsFile::open(file);
    } catch (const Error&) {
        return std::nullopt;
    }
}

std::optional<Nf4Data> cached_weight(
    const SafetensorsFile& cache, const std::string& path, int64_t count, BaseQuant quant) {
    const int64_t blocks = (count + Nf4Data::kBlock - 1) / Nf4Data::kBlock,
                  nested = (blocks + Nf4Data::kNestedBlock - 1) / Nf4Data::kNestedBlock;
    const auto bytes = [&](const char* suffix, DType dtype, int64_t length) -> const std::byte* {
        const TensorView* t = cache.find(path + suffix);
        if (!t || t->dtype != dtype || t->count() != length ||
            reinterpret_cast<uintptr_t>(t->bytes.data()) % dtype_size(dtype) != 0)
            return nullptr;
        return t->bytes.data();
    };
    Nf4Data data;
    data.packed = reinterpret_cast<const uint8_t*>(bytes(".packed", DType::u8, (count + 1) / 2));
    if (!data.packed) return std::nullopt;
    if (quant == BaseQuant::nf4) {
        data.absmax = reinterpret_cast<const float*>(bytes(".absmax", DType::f32, blocks));
        return data.absmax ? std::optional(data) : std::nullopt;
    }
    data.absmax8 = reinterpret_cast<const uint8_t*>(bytes(".absmax8", DType::u8, blocks));
    data.nested_absmax = reinterpret_cast<const float*>(bytes(".nested_absmax", DType::f32, nested));
    const std::byte* offset = bytes(".nested_offset", DType::f32, 1);
    if (!data.absmax8 || !data.nested_absmax || !offset) return std::nullopt;
    std::memcpy(&data.nested_offset, offset, sizeof(float));
    data.nested_code = signed_dynamic_map().values.data();
    return data;
}

void WeightCacheWriter::add(const std::string& path, const Nf4Storage& w) {
    const auto length = [](const auto& values) { return Shape{static_cast<int64_t>(values.size())}; };
    writer_.add(path + ".packed", DType::u8, length(w.packed), raw(w.packed));
    if (!w.absmax.empty()) {
        writer_.add(path + ".absmax", DType::f32, length(w.absmax), raw(w.absmax));
        return;
    }
    writer_.add(path + ".absmax8", DType::u8, length(w.absmax8), raw(w.absmax8));
    writer_.add(path + ".nested_absmax", DType::f32, length(w.nested_absmax), raw(w.nested_absmax));
    writer_.add(path + ".nested_offset", DType::f32, {1}, std::as_bytes(std::span(&w.nested_offset, 1)));
}

void WeightCacheWriter::write(const std::string& file) {
    std::error_code error;
    fs::create_directories(fs::path(file).parent_path(), error);
    require(!error, ErrorCode::invalid_argument, fs::path(file).parent_path().string(),
        ": the cache folder cannot be made: ", error.message());
    writer_.write(file);
}

} // namespace atelier
