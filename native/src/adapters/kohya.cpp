// kohya's FLUX LoRA names, also read by ComfyUI and diffusers. A fused linear takes several of our modules as one:
// their A are stacked, their B lie on a block diagonal, all blocks with the same rank. Reading takes such a diagonal
// apart exactly; a B that mixes the ranks is split by rows, each part keeping all of A.
#include "base/error.h"
#include "adapters/files.h"
#include "adapters/kohya_names.h"
#include "formats/text.h"
#include <algorithm>

namespace atelier {
namespace {

const std::string kDown = ".lora_down.weight", kUp = ".lora_up.weight", kA = ".lora_A.weight", kB = ".lora_B.weight",
                  kAlpha = ".alpha";
const std::string kOriginal =
    "diffusion_model."; // original module names with dots, as other trainers write for ComfyUI

// The flattened module name of a tensor, and which tensor of the module it is; false for a name of another kind.
bool split_name(const std::string& name, std::string& module, std::string& suffix) {
    for (const std::string& s : {kDown, kUp, kA, kB, kAlpha})
        if (name.ends_with(s)) {
            suffix = s;
            module = name.substr(0, name.size() - s.size());
            if (!module.starts_with(kOriginal)) return module.starts_with("lora_unet_");
            module = "lora_unet_" + module.substr(kOriginal.size());
            std::replace(module.begin(), module.end(), '.', '_');
            return true;
        }
    return false;
}

void swap_halves(LoraModule& m) {
    std::rotate(m.b.begin(), m.b.begin() + static_cast<std::ptrdiff_t>(m.b.size() / 2), m.b.end());
}

// Output rows of each part: equal for query, key and value; the MLP of a single block has the rest beside three of the
// width.
std::vector<int64_t> part_rows(const KohyaModule& names, const LoraModule& m, const std::string& label) {
    if (names.parts.size() == 1) return {m.out};
    const int64_t rest = m.out - 3 * m.in;
    const bool fits = names.parts.size() == 3 ? m.out % 3 == 0 : rest > 0;
    require(fits, ErrorCode::corrupt, label, ": ", in_quotes(names.name), " has ", m.out, " outputs and ", m.in,
        " inputs, which do not make ", names.parts.size() == 3 ? "query, key and value" : "query, key, value and MLP");
    if (names.parts.size() == 3) return {m.out / 3, m.out / 3, m.out / 3};
    return {m.in, m.in, m.in, rest};
}

bool zero_block(const LoraModule& m, int64_t row, int64_t rows, int64_t column, int64_t columns) {
    for (int64_t i = row; i < row + rows; ++i)
        for (int64_t j = column; j < column + columns; ++j)
            if (m.b[static_cast<size_t>(i * m.rank + j)] != 0) return false;
    return true;
}

// Whether B is zero outside a diagonal of equal blocks, one for each of the `owners` among the parts.
bool block_diagonal(const LoraModule& m, const std::vector<int64_t>& rows, const std::vector<bool>& owners) {
    const int64_t blocks = std::count(owners.begin(), owners.end(), true);
    if (blocks == 0 || m.rank % blocks != 0) return false;
    const int64_t rank = m.rank / blocks;
    int64_t row = 0, first = 0;
    for (size_t p = 0; p < rows.size(); row += rows[p], ++p) {
        const int64_t own = owners[p] ? rank : 0;
        if (!zero_block(m, row, rows[p], 0, first) || !zero_block(m, row, rows[p], first + own, m.rank - first - own))
            return false;
        first += own;
    }
    return true;
}

LoraModule cut(const LoraModule& m, int64_t row, int64_t rows, int64_t first, int64_t rank) {
    LoraModule part{rank, m.in, rows, m.alpha * static_cast<float>(rank) / static_cast<float>(m.rank), {}, {}};
    part.a.assign(m.a.begin() + first * m.in, m.a.begin() + (first + rank) * m.in);
    for (int64_t i = row; i < row + rows; ++i)
        part.b.insert(part.b.end(), m.b.begin() + i * m.rank + first, m.b.begin() + i * m.rank + first + rank);
    return part;
}

bool all_zero(const std::vector<float>& values) {
    return std::all_of(values.begin(), values.end(), [](float x) { return x == 0; });
}

void split(const KohyaModule& names, const LoraModule& m, const std::vector<int64_t>& rows, AdapterWeights& adapter) {
    std::vector<bool> every(rows.size(), true), used;
    int64_t row = 0;
    for (int64_t count : rows) {
        used.push_back(!zero_block(m, row, count, 0, m.rank));
        row += count;
    }
    const std::vector<bool>* owners = block_diagonal(m, rows, every)  ? &every
                                      : block_diagonal(m, rows, used) ? &used
                                                                      : nullptr;
    const int64_t rank = owners ? m.rank / std::count(owners->begin(), owners->end(), true) : m.rank;
    int64_t first = 0;
    row = 0;
    for (size_t p = 0; p < rows.size(); row += rows[p], ++p) {
        if (owners ? !(*owners)[p] : !used[p]) continue;
        LoraModule part = cut(m, row, rows[p], first, rank);
        if (owners) first += rank;
        // A part that is not adapted was filled with zeros; one that was never trained still has its random A.
        if (rows.size() > 1 && all_zero(part.a) && all_zero(part.b)) continue;
        adapter.modules[names.parts[p]] = std::move(part);
    }
}

// The modules of one fused linear as a single one.
LoraModule fuse(
    const KohyaModule& names, const std::vector<const LoraModule*>& given, int64_t width, const std::string& label) {
    int64_t rank = 0, out = 0;
    bool same_scale = true;
    const LoraModule* any = nullptr;
    for (const LoraModule* m : given) {
        if (!m) continue;
        if (any)
            same_scale =
                same_scale && m->alpha * static_cast<float>(any->rank) == any->alpha * static_cast<float>(m->rank);
        require(!any || any->in == m->in, ErrorCode::invalid_argument, label, ": the parts of ", in_quotes(names.name),
            " differ in their inputs");
        any = m;
        rank = std::max(rank, m->rank);
    }
    if (!any) fail(ErrorCode::internal, label, ": no part of ", in_quotes(names.name), " is given");
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

bool has_kohya_names(const SafetensorsFile& file) {
    std::string module, suffix;
    return std::any_of(file.tensors().begin(), file.tensors().end(),
        [&](const auto& entry) { return split_name(entry.first, module, suffix); });
}

AdapterWeights read_kohya_adapter(const WeightSource& source, const SafetensorsFile& file) {
    std::map<std::string, std::map<std::string, std::string>> modules; // flattened name -> role -> tensor
    std::vector<std::string> unknown;
    for (const auto& [name, tensor] : file.tensors()) {
        std::string module, suffix;
        if (!split_name(name, module, suffix) || kohya_module(module).parts.empty()) {
            unknown.push_back(name);
            continue;
        }
        const std::string role = suffix == kA ? kDown : suffix == kB ? kUp : suffix;
        require(modules[module].emplace(role, name).second, ErrorCode::corrupt, file.path(), ": ", in_quotes(name),
            " is there twice under two names");
    }
    if (!unknown.empty()) unknown_adapter_names(file.path(), unknown);
    AdapterWeights adapter;
    for (auto& [module, tensors] : modules) {
        const KohyaModule names = kohya_module(module);
        for (const std::string& role : {kDown, kUp})
            require(tensors.count(role), ErrorCode::corrupt, file.path(), ": ", in_quotes(tensors.begin()->second),
                " has no partner ", in_quotes(module + role));
        LoraModule m = read_pair(source, tensors[kDown], tensors[kUp]);
        if (tensors.count(kAlpha)) m.alpha = read_alpha(source, tensors[kAlpha]);
        if (names.shift_scale_swapped) swap_halves(m);
        split(names, m, part_rows(names, m, file.path()), adapter);
    }
    return adapter;
}

AdapterFile kohya_file(const AdapterWeights& adapter, const Metadata& metadata, const std::string& label) {
    int64_t mlp_width = 0; // of single blocks, should one lack its part
    for (const auto& [module, m] : adapter.modules)
        if (module.ends_with(".proj_mlp")) mlp_width = m.out;
    AdapterFile file;
    auto& [fused, writer] = file;
    std::vector<std::string> unknown;
    for (const auto& [module, m] : adapter.modules) {
        const KohyaModule names = kohya_module_of(module);
        if (names.parts.empty()) {
            unknown.push_back(module);
            continue;
        }
        if (fused.count(names.name)) continue;
        std::vector<const LoraModule*> given;
        for (const std::string& part : names.parts) {
            const auto it = adapter.modules.find(part);
            given.push_back(it == adapter.modules.end() ? nullptr : &it->second);
        }
        LoraModule whole = fuse(names, given, mlp_width ? mlp_width : 4 * m.in, label);
        if (names.shift_scale_swapped) swap_halves(whole);
        fused.emplace(names.name, std::move(whole));
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
