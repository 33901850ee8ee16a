#include "bench_model.h"
#include "base/error.h"
#include "formats/safetensors.h"
#include "models/transformer.h"
#include <algorithm>
#include <deque>
#include <filesystem>
#include <fstream>

namespace atelier::bench {

TransformerDims Shape::dims() const {
    TransformerDims d;
    d.num_layers = double_blocks;
    d.num_single_layers = single_blocks;
    d.heads = heads;
    d.head_dim = head_dim;
    d.joint_dim = joint;
    d.pooled_dim = pooled;
    d.axes_dims[0] = std::max<int64_t>(2, head_dim / 8 / 2 * 2);
    d.axes_dims[1] = d.axes_dims[2] = (head_dim - d.axes_dims[0]) / 2;
    return d;
}

Shape preset(const std::string& name) {
    if (name == "tiny") return {2, 4, 4, 32, 16, 16, 77, 256, 64};
    if (name == "small") return {2, 4, 8, 64, 24, 24, 77, 1024, 256};
    if (name == "medium") return {4, 8, 12, 128, 32, 32, 77, 4096, 768};
    if (name == "full") return {19, 38, 24, 128, 48, 32, 77, 4096, 768};
    fail(ErrorCode::invalid_argument, "preset \"", name, "\" is unknown; there are tiny, small, medium, full");
}

std::vector<float> values(int64_t count, uint32_t seed) {
    std::vector<float> v(static_cast<size_t>(count));
    for (float& x : v) {
        seed = seed * 1664525u + 1013904223u;
        x = static_cast<float>(seed >> 8) / static_cast<float>(1 << 23) - 1;
    }
    return v;
}

void save_checkpoint(const Shape& shape, const std::string& dir) {
    const TransformerDims d = shape.dims();
    std::filesystem::create_directories(dir);
    std::ofstream(dir + "/config.json")
        << "{\"_class_name\": \"FluxTransformer2DModel\", \"patch_size\": 1, \"in_channels\": 64, \"num_layers\": "
        << d.num_layers << ", \"num_single_layers\": " << d.num_single_layers
        << ", \"attention_head_dim\": " << d.head_dim << ", \"num_attention_heads\": " << d.heads
        << ", \"joint_attention_dim\": " << d.joint_dim << ", \"pooled_projection_dim\": " << d.pooled_dim
        << ", \"guidance_embeds\": true, \"axes_dims_rope\": [" << d.axes_dims[0] << ", " << d.axes_dims[1] << ", "
        << d.axes_dims[2] << "]}\n";
    SafetensorsWriter writer;
    std::deque<std::vector<float>> kept;
    const auto add = [&](const std::string& name, const atelier::Shape& form, float scale) {
        int64_t count = 1;
        for (int64_t n : form) count *= n;
        kept.push_back(values(count, static_cast<uint32_t>(kept.size() + 1)));
        for (float& v : kept.back()) v = scale != 0 ? v * scale : 1.0f;
        writer.add(name, form, kept.back());
    };
    TransformerLayers layers(d);
    for_each_linear(layers, [&](const std::string& path, Linear&, int64_t in, int64_t out) {
        add(path + ".weight", {out, in}, 0.035f); // uniform of deviation 0.02
        add(path + ".bias", {out}, 0.035f);
    });
    for_each_head_norm(layers, [&](const std::string& name, const float*&) { add(name, {d.head_dim}, 0); });
    writer.write(dir + "/diffusion_pytorch_model.safetensors");
}

} // namespace atelier::bench
