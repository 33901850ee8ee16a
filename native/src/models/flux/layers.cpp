#include "models/flux/layers.h"
#include "base/error.h"

namespace atelier {

void validate_dims(const TransformerDims& d) {
    const auto positive = [](int64_t value, int64_t most, const char* name) {
        require(value > 0 && value <= most, ErrorCode::invalid_argument, name, " is ", value, "; expected 1 to ", most);
    };
    positive(d.in_channels, 1 << 16, "in_channels");
    positive(d.out_channels, 1 << 16, "out_channels");
    positive(d.heads, 1024, "num_attention_heads");
    positive(d.head_dim, 256, "attention_head_dim"); // the attention kernels' largest head
    positive(d.joint_dim, 1 << 20, "joint_attention_dim");
    positive(d.pooled_dim, 1 << 20, "pooled_projection_dim");
    require(d.num_layers >= 0 && d.num_layers <= 1024, ErrorCode::invalid_argument, "num_layers is ", d.num_layers,
        "; expected 0 to 1024");
    require(d.num_single_layers >= 0 && d.num_single_layers <= 1024, ErrorCode::invalid_argument,
        "num_single_layers is ", d.num_single_layers, "; expected 0 to 1024");
    for (int64_t axis : d.axes_dims)
        require(axis > 0 && axis % 2 == 0, ErrorCode::invalid_argument, "axes_dims_rope holds ", axis,
            "; each axis needs an even number of channels");
    require(d.axes_dims[0] + d.axes_dims[1] + d.axes_dims[2] == d.head_dim, ErrorCode::invalid_argument,
        "axes_dims_rope ", d.axes_dims[0], ", ", d.axes_dims[1], ", ", d.axes_dims[2],
        " must add up to attention_head_dim ", d.head_dim);
}

FluxLayers layers_without_values(const TransformerDims& dims, BaseQuant quant) {
    validate_dims(dims);
    static const float scale = 0; // stands for the scales of NF4 without double quantisation; never read
    FluxLayers layers(dims);
    for_each_linear(layers, [&](const std::string&, Linear& linear, int64_t in, int64_t out) {
        linear.w.format = quant == BaseQuant::none ? WeightFormat::bf16 : WeightFormat::nf4;
        linear.w.rows = out;
        linear.w.cols = in;
        if (quant == BaseQuant::nf4) linear.w.nf4.absmax = &scale;
    });
    return layers;
}

std::vector<LinearModule> linear_modules(const FluxLayers& layers) {
    std::vector<LinearModule> modules;
    for_each_linear(layers,
        [&](const std::string& path, const Linear&, int64_t in, int64_t out) { modules.push_back({path, in, out}); });
    return modules;
}

std::vector<const Linear*> block_linears(const FluxLayers& layers, int64_t block) {
    const auto doubles = static_cast<int64_t>(layers.doubles.size());
    if (block >= doubles) {
        const SingleBlock& b = layers.singles[static_cast<size_t>(block - doubles)];
        return {&b.q, &b.k, &b.v, &b.mlp, &b.out};
    }
    std::vector<const Linear*> all;
    const DoubleBlock& b = layers.doubles[static_cast<size_t>(block)];
    for (const DoubleSide* s : {&b.img, &b.txt})
        all.insert(all.end(), {&s->q, &s->k, &s->v, &s->out, &s->up, &s->down});
    return all;
}

} // namespace atelier
