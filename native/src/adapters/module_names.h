// What FLUX's linears are called: by diffusers, by its authors (BFL), and by trainers who write one of the two with
// underscores, take fused linears apart, or name them after the attention processor (XLabs). One table for all.
#pragma once
#include <string>
#include <vector>

namespace atelier {

struct FluxModule {
    std::string kohya;              // "lora_unet_double_blocks_0_img_attn_qkv", as the kohya format is written
    std::vector<std::string> parts; // diffusers paths, in the order of the linear's output rows; empty: not FLUX's
    bool shift_scale_swapped = false; // the last norm: shift, scale there, scale, shift in diffusers
    bool by_bfl = false;              // the name was BFL's
    bool alpha_ignored = false;       // diffusers drops alpha here, so the scale must lie in the weights

    bool known() const { return !parts.empty(); }
};

// The module that a name means without its trainer's prefix: dots and underscores are one, as are a last underscore and
// none. "double_blocks.0.img_attn.qkv", "transformer_blocks_0_attn_to_q_", "single_blocks.3.linear1.2".
FluxModule flux_module(const std::string& name);
// The module of the kohya format that a diffusers path belongs to.
FluxModule kohya_module_of(const std::string& path);

} // namespace atelier
