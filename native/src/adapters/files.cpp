#include "adapters/files.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>
#include <cmath>
#include <cstring>

namespace atelier {
namespace {

bool finite(const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
}

AdapterWeights read(const WeightSource& source) {
    const SafetensorsFile& file = source.files().front();
    AdapterWeights adapter =
        has_kohya_names(file) ? read_kohya_adapter(source, file) : read_diffusers_adapter(source, file);
    adapter.metadata = file.metadata();
    check_adapter(adapter, source.label());
    return adapter;
}

} // namespace

AdapterWeights read_adapter(const std::string& path) { return read(WeightSource::open_file(path)); }

AdapterWeights read_adapter(std::span<const std::byte> file, const std::string& label) {
    return read(WeightSource::parse(file, label));
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

LoraModule read_pair(const WeightSource& source, const std::string& a_name, const std::string& b_name) {
    for (const std::string& name : {a_name, b_name}) {
        const TensorView* t = source.find(name);
        require(t != nullptr, ErrorCode::corrupt, source.label(), ": tensor ",
            in_quotes(name == a_name ? b_name : a_name), " has no partner ", in_quotes(name));
        require(t->shape.size() == 2 && t->shape[0] > 0 && t->shape[1] > 0, ErrorCode::corrupt, source.label(),
            ": tensor ", in_quotes(name), " has shape ", shape_text(t->shape), ", expected a matrix");
    }
    const Shape a = source.find(a_name)->shape, b = source.find(b_name)->shape;
    require(a[0] == b[1], ErrorCode::corrupt, source.label(), ": tensors ", in_quotes(a_name), " ", shape_text(a),
        " and ", in_quotes(b_name), " ", shape_text(b), " differ in rank");
    LoraModule m;
    m.rank = a[0];
    m.in = a[1];
    m.out = b[0];
    m.alpha = static_cast<float>(m.rank);
    m.a = source.read_f32(a_name, a);
    m.b = source.read_f32(b_name, b);
    return m;
}

float read_alpha(const WeightSource& source, const std::string& name) {
    const TensorView& t = *source.find(name);
    require(t.count() == 1, ErrorCode::corrupt, source.label(), ": tensor ", in_quotes(name), " has ", t.count(),
        " values, expected one");
    double value = 0;
    if (t.dtype == DType::i64 || t.dtype == DType::i32) {
        int64_t wide = 0;
        int32_t narrow = 0;
        if (t.dtype == DType::i64) std::memcpy(&wide, t.bytes.data(), 8);
        else std::memcpy(&narrow, t.bytes.data(), 4);
        value = static_cast<double>(wide + narrow);
    } else if (t.dtype == DType::f64) {
        std::memcpy(&value, t.bytes.data(), 8);
    } else {
        value = source.read_f32(name, t.shape).front();
    }
    require(std::isfinite(value) && std::abs(value) < 1e9, ErrorCode::corrupt, source.label(), ": tensor ",
        in_quotes(name), " is ", value);
    return static_cast<float>(value);
}

void unknown_adapter_names(const std::string& label, const std::vector<std::string>& names) {
    const auto any = [&](std::initializer_list<const char*> parts) {
        return std::any_of(names.begin(), names.end(), [&](const std::string& n) {
            return std::any_of(
                parts.begin(), parts.end(), [&](const char* part) { return n.find(part) != std::string::npos; });
        });
    };
    const char* why =
        any({"text_encoder", "lora_te"})
            ? "adapters of the text encoders are not applied by this engine; extract the transformer's part"
        : any({"lokr_", "hada_", "oft_", "dora_scale", "magnitude"})
            ? "only plain LoRA is supported, not DoRA, LoKr, LoHa or OFT"
            : "not the names of a FLUX.1 LoRA";
    fail(ErrorCode::unsupported, label, ": tensors ", quoted_list(names), ": ", why);
}

} // namespace atelier
