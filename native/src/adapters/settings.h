// What peft's settings say of an adapter's strength: as diffusers packs them into a file's metadata, or as peft writes
// them beside it.
#pragma once
#include "adapters/path_pattern.h"
#include "atelier/types.h"
#include "formats/safetensors.h"

namespace atelier {

inline constexpr char kPeftMetadata[] = "lora_adapter_metadata"; // diffusers': fields begin with "transformer."

class PeftSettings {
public:
    // Of the file's metadata, else of the adapter_config.json beside it on disk, else none. Throws corrupt, and
    // unsupported for settings that plain LoRA on linears does not cover, naming them.
    static PeftSettings of(const SafetensorsFile&);

    bool known() const { return known_; }
    // `path`: the module as the file spells it, which patterns are made for.
    float alpha(const std::string& path, int64_t rank) const;

private:
    void read(const std::string& text, const std::string& label, const std::string& prefix);

    bool known_ = false, rank_stabilised_ = false;
    double alpha_ = 0;
    std::vector<std::pair<PathPattern, double>> alpha_pattern_; // the first that matches counts
};

} // namespace atelier
