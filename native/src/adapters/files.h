// Adapter files. Many families of names exist for the same weights; reading tells them apart by the names themselves,
// never by the file's, and knows all of them at once (module_names.h, tensor_names.h). Written are two:
// - diffusers' and peft's: "transformer.<module path>.lora_A.weight", with alpha in metadata;
// - kohya's and ComfyUI's: "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight", in which query, key and value
// (and
//   a single block's MLP) are one fused linear, with alpha as a tensor.
#pragma once
#include "atelier/types.h"
#include "formats/safetensors.h"

namespace atelier {

AdapterWeights read_adapter(const std::string& path);
AdapterWeights read_adapter(std::span<const std::byte> file, const std::string& label);
// The same checks of the same tensors, one module in memory at a time.
AdapterContents inspect_adapter(std::span<const std::byte> file, const std::string& label);
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

// -- shared by the writers of the two formats
AdapterFile diffusers_file(const AdapterWeights&, const Metadata&);
AdapterFile kohya_file(const AdapterWeights&, const Metadata&, const std::string& label);

} // namespace atelier
