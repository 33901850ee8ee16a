// Adapter files. Two families of names exist for the same weights:
// - diffusers and peft name modules as the model does, "transformer.<module path>.lora_A.weight", and keep alpha in
// metadata;
// - kohya's scripts and ComfyUI use the original FLUX names, "lora_unet_double_blocks_0_img_attn_qkv.lora_down.weight",
// in which
//   query, key and value (and a single block's MLP) are one fused linear, and keep alpha as a tensor.
// Both are told apart by their names, never by the file's.
#pragma once
#include "atelier/engine.h"
#include "formats/weight_source.h"

namespace atelier {

Adapter read_adapter(const std::string& path);
void write_diffusers_adapter(const Adapter&, const std::string& path);
void write_kohya_adapter(const Adapter&, const std::string& path);

// Throws corrupt, naming module and reason: sizes that contradict each other, NaN or infinity, no modules at all.
void check_adapter(const Adapter&, const std::string& label);

// -- shared by the files of the two families
// -----------------------------------------------------------------------------
bool has_kohya_names(const SafetensorsFile&);
Adapter read_diffusers_adapter(const WeightSource&, const SafetensorsFile&);
Adapter read_kohya_adapter(const WeightSource&, const SafetensorsFile&);
Adapter::Module read_pair(const WeightSource&, const std::string& a_name, const std::string& b_name); // alpha = rank
float read_alpha(const WeightSource&, const std::string& name); // a scalar of any number type
[[noreturn]] void unknown_adapter_names(const std::string& label, const std::vector<std::string>& names);

} // namespace atelier
