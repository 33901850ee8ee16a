// The kohya format's writer. A fused linear takes several of our modules as one: their A are stacked, their B lie on a
// block diagonal, all blocks with the same rank.
#include "adapters/files.h"
#include "adapters/fused.h"
#include "adapters/module_names.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>

namespace atelier {
namespace {

const std::string kDown = ".lora_down.weight", kUp = ".lora_up.weight", kAlpha = ".alpha";

// The modules of one fused linear as a single one.
LoraModule fuse(
    const FluxModule& names, const std::vector<const LoraModule*>& given, int64_t width, const std::string& label) {
    int64_t rank = 0, out = 0;
    bool same_scale = true;
    const LoraModule* any = nullptr;
    for (const LoraModule* m : given) {
        if (!m) continue;
        if (any)
            same_scale =
                same_scale && m->alpha * static_cast<float>(any->rank) == any->alpha * static_cast<float>(m->rank);
        require(!any || any->in == m->in, ErrorCode::invalid_argument, label, ": the parts of ", in_quotes(names.kohya),
            " differ in their inputs");
        any = m;
        rank = std::max(rank, m->rank);
    }
    if (!any) fail(ErrorCode::internal, label, ": no part of ", in_quotes(names.kohya), " is given");
    std::vector<int64_t> rows;
    for (size_t p = 0; p < given.size();
        ++p) { // a missing MLP is as wide as the model's others, a missing query as wide as its input
        rows.push_back(given[p] ? given[p]->out : p == 3 ? width : any->in);
        out += rows.back();
    }
    const auto parts = static_cast<int64_t>(given.size());
    same_scale = same_scale && !names.alpha_ignored;
    LoraModule fused{parts * rank, any->in, out, 0, {}, {}};
    fused.alpha = same_scale ? any->alpha / static_cast<float>(any->rank) * static_cast<float>(fused.rank)
                             : static_cast<float>(fused.rank);
    if (parts == 1 && same_scale) fused.alpha = any->alpha;
    fused.a.assign(static_cast<size_t>(fused.rank * fused.in), 0);
    fused.b.assign(static_cast<size_t>(fused.out * fused.rank), 0);
    int64_t row = 0;
    for (int64_t p = 0; p < parts; row += rows[static_cast<size_t>(p)], ++p) {
        const LoraModule* m = given[static_cast<size_t>(p)];
        if (!m) continue;
        const float scale = same_scale ? 1.0f : m->alpha / static_cast<float>(m->rank);
        std::transform(
            m->a.begin(), m->a.end(), fused.a.begin() + p * rank * fused.in, [&](float v) { return v * scale; });
        for (int64_t i = 0; i < m->out; ++i)
            std::copy_n(m->b.begin() + i * m->rank, m->rank, fused.b.begin() + (row + i) * fused.rank + p * rank);
    }
    return fused;
}

} // namespace

AdapterFile kohya_file(const AdapterWeights& adapter, const Metadata& metadata, const std::string& label) {
    int64_t mlp_width = 0; // of single blocks, should one lack its part
    for (const auto& [module, m] : adapter.modules)
        if (module.ends_with(".proj_mlp")) mlp_width = m.out;
    AdapterFile file;
    auto& [fused, writer] = file;
    std::vector<std::string> unknown;
    for (const auto& [module, m] : adapter.modules) {
        const FluxModule names = kohya_module_of(module);
        if (names.parts.empty()) {
            unknown.push_back(module);
            continue;
        }
        if (fused.count(names.kohya)) continue;
        std::vector<const LoraModule*> given;
        for (const std::string& part : names.parts) {
            const auto it = adapter.modules.find(part);
            given.push_back(it == adapter.modules.end() ? nullptr : &it->second);
        }
        LoraModule whole = fuse(names, given, mlp_width ? mlp_width : 4 * m.in, label);
        if (names.shift_scale_swapped) swap_halves(whole);
        fused.emplace(names.kohya, std::move(whole));
    }
    require(unknown.empty(), ErrorCode::unsupported, label, ": modules ", quoted_list(unknown),
        " have no name in kohya's format; write the adapter as diffusers does");
    for (const auto& [name, m] : fused) {
        writer.add(name + kDown, {m.rank, m.in}, m.a);
        writer.add(name + kUp, {m.out, m.rank}, m.b);
        writer.add(name + kAlpha, {}, std::span(&m.alpha, 1));
    }
    for (const auto& [key, value] : metadata)
        if (key != "lora_adapter_metadata") writer.set_metadata(key, value);
    writer.set_metadata("format", "pt");
    writer.set_metadata("ss_network_module", "networks.lora_flux");
    return file;
}

} // namespace atelier
