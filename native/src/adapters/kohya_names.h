// Original FLUX module names, as kohya's scripts and ComfyUI flatten them, and the diffusers modules they hold.
#pragma once
#include <string>
#include <vector>

namespace atelier {

struct KohyaModule {
    std::string name;               // "lora_unet_double_blocks_0_img_attn_qkv"
    std::vector<std::string> parts; // diffusers paths, in the order of the fused linear's output rows
    bool shift_scale_swapped = false; // the last norm: shift, scale there, scale, shift in diffusers
    bool alpha_ignored = false;       // diffusers drops alpha here, so the scale must lie in the weights
};

// Throws nothing: an empty `parts` means the name is not one of FLUX's.
KohyaModule kohya_module(const std::string& name);
// The module a diffusers path belongs to; empty `parts` for a path that FLUX does not have.
KohyaModule kohya_module_of(const std::string& path);

} // namespace atelier
