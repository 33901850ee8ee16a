#include "sampling/adapted_layers.h"
#include "base/error.h"
#include "memory/transfer.h"
#include <algorithm>
#include <cmath>

namespace atelier {
namespace {

using Uses = std::vector<std::pair<const Adapter::Module*, float>>;

float scale_of(const Adapter::Module& m, float weight) { return weight * m.alpha / static_cast<float>(m.rank); }

} // namespace

AdaptedLayers::AdaptedLayers(
    const FluxWeights& weights, const std::vector<AdapterUse>& adapters, bool fused, Memory& memory)
    : layers_(weights.layers()), constants_(std::make_unique<Constants>(memory)) {
    for (const AdapterUse& use : adapters)
        require(use.adapter != nullptr && std::isfinite(use.weight), ErrorCode::invalid_argument,
            "an adapter's weight is ", use.weight, "; expected a finite number");
    for_each_linear(layers_, [&](const std::string& path, Linear& linear, int64_t, int64_t) {
        Uses uses;
        for (const AdapterUse& use : adapters) {
            const auto it = use.adapter->modules.find(path);
            if (it != use.adapter->modules.end() && use.weight != 0) uses.emplace_back(&it->second, use.weight);
        }
        if (uses.empty()) return;
        if (fused) fuse(weights, path, linear, uses);
        else add_branch(memory, linear, uses);
    });
    constants_->place();
}

void AdaptedLayers::add_branch(Memory& memory, Linear& linear, const Uses& uses) {
    int64_t rank = 0;
    for (const auto& [m, weight] : uses) rank += m->rank;
    const int64_t in = uses.front().first->in, out = uses.front().first->out;
    std::vector<float> a;
    a.reserve(static_cast<size_t>(rank * in));
    std::vector<float> b(static_cast<size_t>(out * rank));
    int64_t column = 0;
    for (const auto& [m, weight] : uses) {
        a.insert(a.end(), m->a.begin(), m->a.end());
        const float scale = scale_of(*m, weight);
        for (int64_t row = 0; row < out; ++row)
            for (int64_t r = 0; r < m->rank; ++r)
                b[static_cast<size_t>(row * rank + column + r)] = scale * m->b[static_cast<size_t>(row * m->rank + r)];
        column += m->rank;
    }
    bytes_ += (a.size() + b.size()) * sizeof(float);
    linear.lora = {};
    const auto placed = [&](const std::vector<float>& values, int64_t rows, int64_t cols) {
        const View view{
            branches_.emplace_back(memory, values.size() * sizeof(float)).data(), rows, cols, cols, DType::f32};
        write_view(memory, view, values.data());
        return view;
    };
    linear.lora.a = placed(a, rank, in);
    linear.lora.b = placed(b, out, rank);
}

void AdaptedLayers::fuse(const FluxWeights& weights, const std::string& path, Linear& linear, const Uses& uses) {
    std::vector<float> w = weights.original(path, linear);
    const int64_t in = linear.w.cols, out = linear.w.rows;
    for (const auto& [m, weight] : uses) {
        const float scale = scale_of(*m, weight);
        for (int64_t row = 0; row < out; ++row)
            for (int64_t r = 0; r < m->rank; ++r) {
                const float factor = scale * m->b[static_cast<size_t>(row * m->rank + r)];
                const float* a = m->a.data() + r * in;
                float* to = w.data() + row * in;
                for (int64_t k = 0; k < in; ++k) to[k] += factor * a[k];
            }
    }
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
