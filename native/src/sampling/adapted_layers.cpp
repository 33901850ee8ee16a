#include "sampling/adapted_layers.h"
#include "memory/transfer.h"

namespace atelier {
AdaptedLayers::AdaptedLayers(
    const TransformerWeights& weights, std::span<const WeightedAdapter> adapters, bool fused, Memory& memory)
    : layers_(weights.layers()), constants_(std::make_unique<Constants>(memory)) {
    check_weights(adapters);
    for_each_linear(layers_, [&](const std::string& path, Linear& linear, int64_t, int64_t) {
        const LoraUses uses = uses_of(adapters, path);
        if (uses.empty()) return;
        if (fused) fuse(weights, path, linear, uses);
        else add_branch(memory, linear, uses);
    });
    constants_->place();
}

void AdaptedLayers::add_branch(Memory& memory, Linear& linear, const LoraUses& uses) {
    const LoraModule m = joined(uses);
    bytes_ += (m.a.size() + m.b.size()) * sizeof(float);
    linear.lora = {};
    const auto placed = [&](const std::vector<float>& values, int64_t rows, int64_t cols) {
        const View view{
            branches_.emplace_back(memory, values.size() * sizeof(float)).data(), rows, cols, cols, DType::f32};
        write_view(memory, view, values.data());
        return view;
    };
    linear.lora.a = placed(m.a, m.rank, m.in);
    linear.lora.b = placed(m.b, m.out, m.rank);
}

void AdaptedLayers::fuse(
    const TransformerWeights& weights, const std::string& path, Linear& linear, const LoraUses& uses) {
    std::vector<float> w = weights.original(path, linear);
    const int64_t in = linear.w.cols, out = linear.w.rows;
    merge_into(w, uses);
    const bool narrow = linear.w.format == WeightFormat::nf4;
    linear.w = Weight{};
    linear.w.rows = out;
    linear.w.cols = in;
    if (narrow) {
        const Nf4Storage& q = quantized_.emplace_back(nf4_quantize_tensor(w, weights.quant() == BaseQuant::nf4_double));
        linear.w.format = WeightFormat::nf4;
        linear.w.nf4 = nf4_rows(q.data(), in);
        bytes_ += q.bytes();
    } else {
        linear.w.format = WeightFormat::f32;
        linear.w.dense = values_.emplace_back(std::move(w)).data();
        bytes_ += static_cast<uint64_t>(in * out) * sizeof(float);
    }
    constants_->add(linear.w);
}

} // namespace atelier
