// Adapter files. Two families of names exist for the same weights:
// - diffusers and peft name modules as the model does, "transformer.<module path>.lora_A.weight", and keep alpha in
// metadata;
// - kohya's scripts and ComfyUI use the original FLUX names, "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
// in which
//   query, key and value (and a single block's MLP) are one fused linear, and keep alpha as a tensor.
// Both are told apart by their names, never by the file's.
#pragma once
#include "atelier/types.h"
#include "formats/weight_source.h"

namespace atelier {

AdapterWeights read_adapter(const std::string& path);
AdapterWeights read_adapter(std::span<const std::byte> file, const std::string& label);
// What a file holds: its writer points into the adapter that it was made of and into these modules.
struct AdapterFile {
    std::map<std::string, LoraModule> modules; // of another layout than the adapter's
    SafetensorsWriter writer;
};
using Metadata = std::map<std::string, std::string>;
// With the metadata given, not the adapter's own; `label` stands for the file in errors.
AdapterFile adapter_file(const AdapterWeights&, AdapterFormat, const Metadata&, const std::string& label);

// Throws corrupt, naming module and reason: sizes that contradict each other, NaN or infinity, no modules at all.
void check_adapter(const AdapterWeights&, const std::string& label);

// -- shared by the files of the two families
// -----------------------------------------------------------------------------
bool has_kohya_names(const SafetensorsFile&);
AdapterWeights read_diffusers_adapter(const WeightSource&, const SafetensorsFile&);
AdapterFile diffusers_file(const AdapterWeights&, const Metadata&);
AdapterFile kohya_file(const AdapterWeights&, const Metadata&, const std::string& label);
AdapterWeights read_kohya_adapter(const WeightSource&, const SafetensorsFile&);
LoraModule read_pair(const WeightSource&, const std::string& a_name, const std::string& b_name); // alpha = rank
float read_alpha(const WeightSource&, const std::string& name); // a scalar of any number type
[[noreturn]] void unknown_adapter_names(const std::string& label, const std::vector<std::string>& names);

} // namespace atelier
