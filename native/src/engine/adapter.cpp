#include "atelier/adapter.h"
#include "adapters/files.h"
#include "adapters/fit.h"
#include "atelier/transformer.h"
#include "models/flux/layers.h"

namespace atelier {

Adapter Adapter::load(const std::string& file) { return {read_adapter(file)}; }

Adapter Adapter::from_bytes(std::span<const std::byte> file, const std::string& label) {
    return {read_adapter(file, label)};
}

AdapterContents Adapter::inspect(
    std::span<const std::byte> file, const std::string& label, const std::optional<TransformerDims>& model) {
    AdapterContents contents = inspect_adapter(file, label);
    if (!model) return contents;
    std::vector<LinearModule> linears;
    const FluxLayers layers(*model);
    for_each_linear(layers,
        [&](const std::string& path, const Linear&, int64_t in, int64_t out) { linears.push_back({path, in, out}); });
    check_fits(contents.modules, linears);
    return contents;
}

void Adapter::save(const std::string& file, AdapterFormat format) const {
    adapter_file(*this, format, metadata, file).writer.write(file);
}

std::vector<std::byte> Adapter::to_bytes(AdapterFormat format, const std::map<std::string, std::string>& more) const {
    std::map<std::string, std::string> all = more;
    all.insert(metadata.begin(), metadata.end());
    return adapter_file(*this, format, all, "adapter").writer.to_bytes();
}

void Adapter::validate(const Transformer& model) const { check_fits(*this, model.modules()); }

} // namespace atelier
