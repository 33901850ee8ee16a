#include "adapters/files.h"
#include "adapters/reader.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

bool finite(const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

AdapterWeights read(const SafetensorsFile& file) {
    AdapterWeights adapter;
    read_modules(file, [&](const std::string& path, LoraModule&& m) { adapter.modules.emplace(path, std::move(m)); });
    adapter.metadata = file.metadata();
    return adapter;
}

} // namespace

AdapterWeights read_adapter(const std::string& path) { return read(SafetensorsFile::open(path)); }

AdapterWeights read_adapter(std::span<const std::byte> file, const std::string& label) {
    return read(SafetensorsFile::parse(file, label));
}

AdapterContents inspect_adapter(std::span<const std::byte> bytes, const std::string& label) {
    const SafetensorsFile file = SafetensorsFile::parse(bytes, label);
    AdapterContents contents;
    contents.notes = read_modules(file, [&](const std::string& path, LoraModule&& m) {
        contents.modules.push_back({path, m.rank, m.in, m.out, m.alpha});
    });
    contents.metadata = file.metadata();
    return contents;
}

AdapterFile adapter_file(
    const AdapterWeights& adapter, AdapterFormat format, const Metadata& metadata, const std::string& label) {
    check_adapter(adapter, label);
    switch (format) {
        case AdapterFormat::diffusers: return diffusers_file(adapter, metadata);
        case AdapterFormat::kohya: return kohya_file(adapter, metadata, label);
    }
    fail(ErrorCode::invalid_argument, label, ": adapter format ", static_cast<int>(format), " is unknown; there are ",
        list_of_names<AdapterFormat>());
}

void check_adapter(const AdapterWeights& adapter, const std::string& label) {
    require(!adapter.modules.empty(), ErrorCode::corrupt, label, ": holds no LoRA weights");
    for (const auto& [path, m] : adapter.modules) {
        require(m.rank > 0 && m.in > 0 && m.out > 0 && m.a.size() == static_cast<size_t>(m.rank * m.in) &&
                    m.b.size() == static_cast<size_t>(m.out * m.rank),
            ErrorCode::corrupt, label, ": module ", in_quotes(path), " of rank ", m.rank, ", ", m.in, " to ", m.out,
            ", has ", m.a.size(), " values in A and ", m.b.size(), " in B");
        require(std::isfinite(m.alpha) && finite(m.a) && finite(m.b), ErrorCode::corrupt, label, ": module ",
            in_quotes(path), " holds NaN or infinity");
    }
}

} // namespace atelier
