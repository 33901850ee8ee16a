#include "models/flux/config.h"
#include "base/error.h"
#include "formats/config.h"

namespace atelier {

TransformerDims read_flux_config(const std::string& dir) {
    const JsonObject json = open_config(dir, "config.json", "FluxTransformer2DModel");
    require(json.integer("patch_size", 1, 1) == 1, ErrorCode::unsupported, json.label(), ": field 'patch_size' is ",
        json.integer("patch_size", 1, 1), "; this engine supports 1 only");
    TransformerDims d;
    d.in_channels = json.integer("in_channels", 1, 64);
    d.out_channels = json.integer("out_channels", 1, d.in_channels);
    d.num_layers = layer_count(json, "num_layers", 0, 19);
    d.num_single_layers = layer_count(json, "num_single_layers", 0, 38);
    d.head_dim = json.integer("attention_head_dim", 2, 128);
    d.heads = json.integer("num_attention_heads", 1, 24);
    d.joint_dim = json.integer("joint_attention_dim", 1, 4096);
    d.pooled_dim = json.integer("pooled_projection_dim", 1, 768);
    d.guidance = json.boolean("guidance_embeds", false);
    const std::vector<int64_t> axes = json.integers("axes_dims_rope", std::vector<int64_t>{16, 56, 56});
    int64_t sum = 0;
    bool even = true;
    for (int64_t a : axes) {
        sum += a;
        even = even && a >= 0 && a % 2 == 0;
    }
    require(axes.size() == 3 && even && sum == d.head_dim, ErrorCode::corrupt, json.label(),
        ": field 'axes_dims_rope' is ", json.scalar_text("axes_dims_rope"),
        ", expected three even numbers that add up to attention_head_dim (", d.head_dim, ")");
    for (size_t i = 0; i < 3; ++i) d.axes_dims[i] = axes[i];
    return d;
}

} // namespace atelier
