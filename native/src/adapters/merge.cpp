#include "adapters/merge.h"
#include "base/error.h"
#include <cmath>

namespace atelier {
namespace {

float scale_of(const LoraModule& m, float weight) { return weight * m.alpha / static_cast<float>(m.rank); }

} // namespace

void check_weights(std::span<const WeightedAdapter> adapters) {
    for (const WeightedAdapter& use : adapters)
        require(use.adapter != nullptr && std::isfinite(use.weight), ErrorCode::invalid_argument,
            "an adapter's weight is ", use.weight, "; expected a finite number");
}

LoraUses uses_of(std::span<const WeightedAdapter> adapters, const std::string& path) {
    LoraUses uses;
    for (const WeightedAdapter& use : adapters) {
        const auto it = use.adapter->modules.find(path);
        if (it != use.adapter->modules.end() && use.weight != 0) uses.emplace_back(&it->second, use.weight);
    }
    return uses;
}

LoraModule joined(const LoraUses& uses) {
    LoraModule all;
    for (const auto& [m, weight] : uses) all.rank += m->rank;
    all.in = uses.front().first->in;
    all.out = uses.front().first->out;
    all.alpha = static_cast<float>(all.rank);
    all.a.reserve(static_cast<size_t>(all.rank * all.in));
    all.b.resize(static_cast<size_t>(all.out * all.rank));
    int64_t column = 0;
    for (const auto& [m, weight] : uses) {
        all.a.insert(all.a.end(), m->a.begin(), m->a.end());
        const float scale = scale_of(*m, weight);
        for (int64_t row = 0; row < all.out; ++row)
            for (int64_t r = 0; r < m->rank; ++r)
                all.b[static_cast<size_t>(row * all.rank + column + r)] =
                    scale * m->b[static_cast<size_t>(row * m->rank + r)];
        column += m->rank;
    }
    return all;
}

void merge_into(std::span<float> w, const LoraUses& uses) {
    for (const auto& [m, weight] : uses) {
        const float scale = scale_of(*m, weight);
        for (int64_t row = 0; row < m->out; ++row)
            for (int64_t r = 0; r < m->rank; ++r) {
                const float factor = scale * m->b[static_cast<size_t>(row * m->rank + r)];
                const float* a = m->a.data() + r * m->in;
                float* to = w.data() + row * m->in;
                for (int64_t k = 0; k < m->in; ++k) to[k] += factor * a[k];
            }
    }
}

} // namespace atelier
