#pragma once
#include "atelier/error.h"
#include "atelier/types.h"
#include <cstddef>
#include <optional>

namespace atelier {

class Transformer;

// LoRA weights on the host. Every spelling of key names that trainers write is read, told apart by the names
// themselves; corrupt or unsupported, with the file or `label` in the text, for what is no such file.
class Adapter : public AdapterWeights {
public:
    using Module = LoraModule;

    static Adapter load(const std::string& file); // alpha may also be in peft's adapter_config.json beside it
    static Adapter from_bytes(std::span<const std::byte> file, const std::string& label);
    // Judges a file as from_bytes does, with one module in memory at a time, and says what it holds; with a model's
    // sizes also as validate does.
    static AdapterContents inspect(
        std::span<const std::byte> file, const std::string& label, const std::optional<TransformerDims>& model = {});
    void save(const std::string& file, AdapterFormat) const;
    // What save() would write, `more` of metadata added to the adapter's own.
    std::vector<std::byte> to_bytes(AdapterFormat, const std::map<std::string, std::string>& more = {}) const;
    void validate(const Transformer&) const; // every module exists with these shapes, finite; else Error
};

} // namespace atelier
