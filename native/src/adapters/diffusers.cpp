// diffusers' pytorch_lora_weights.safetensors and peft's adapter_model.safetensors. Alpha is looked for in diffusers'
// metadata, in
// `.alpha` tensors, and in peft's adapter_config.json beside the file; found nowhere, alpha is the rank.
#include "base/error.h"
#include "adapters/files.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

namespace atelier {
namespace {

const char kMetadata[] = "lora_adapter_metadata";
const std::string kPrefix = "transformer.";

struct Suffix {
    const char* a;
    const char* b;
};
constexpr Suffix kSuffixes[] = {{".lora_A.weight", ".lora_B.weight"},
    {".lora_A.default.weight", ".lora_B.default.weight"}, {".lora.down.weight", ".lora.up.weight"}};

std::string module_path(std::string name) {
    for (const std::string& prefix : {std::string("base_model.model."), kPrefix})
        if (name.starts_with(prefix)) name = name.substr(prefix.size());
    return name;
}

// peft matches a pattern against a whole path or its end after a dot.
bool matches(const std::string& pattern, const std::string& path) {
    if (pattern.starts_with("^")) return path == pattern.substr(1);
    return path == pattern || path.ends_with("." + pattern);
}

struct Settings {
    double alpha = 0;
    bool known = false, rank_stabilised = false;
    std::vector<std::pair<std::string, double>> alpha_pattern;

    void apply(const std::string& path, LoraModule& m) const {
        double value = alpha;
        for (const auto& [pattern, exception] : alpha_pattern)
            if (matches(pattern, path)) {
                value = exception;
                break;
            }
        m.alpha = static_cast<float>(rank_stabilised ? value * std::sqrt(static_cast<double>(m.rank)) : value);
    }
};

Settings read_settings(const JsonObject& json, const std::string& prefix) {
    require(!json.boolean(prefix + "use_dora", false), ErrorCode::unsupported, json.label(),
        ": this adapter uses DoRA; only plain LoRA is supported");
    Settings s;
    s.known = json.has(prefix + "lora_alpha");
    if (!s.known) return s;
    s.alpha = json.number(prefix + "lora_alpha");
    s.rank_stabilised = json.boolean(prefix + "use_rslora", false);
    if (json.has(prefix + "alpha_pattern")) {
        const JsonObject pattern = json.object(prefix + "alpha_pattern");
        for (const std::string& key : pattern.keys()) s.alpha_pattern.emplace_back(key, pattern.number(key));
    }
    return s;
}

Settings find_settings(const SafetensorsFile& file) {
    const auto metadata = file.metadata().find(kMetadata);
    if (metadata != file.metadata().end())
        return read_settings(JsonObject::parse(metadata->second, file.path() + ": metadata " + kMetadata), kPrefix);
    if (!file.mapping()) return {}; // bytes in memory have no file beside them
    const auto config = std::filesystem::path(file.path()).replace_filename("adapter_config.json");
    if (std::filesystem::exists(config)) return read_settings(JsonObject::read(config.string()), "");
    return {};
}

// "transformer_blocks.3.attn.to_q" -> "to_q", as people name targets; modules outside the blocks keep their path.
std::string target_of(const std::string& path) {
    for (const std::string& blocks : {std::string("transformer_blocks."), std::string("single_transformer_blocks.")}) {
        if (!path.starts_with(blocks)) continue;
        const size_t dot = path.find('.', blocks.size());
        if (dot == std::string::npos) return path;
        const std::string rest = path.substr(dot + 1);
        return rest.starts_with("attn.") ? rest.substr(5) : rest;
    }
    return path;
}

// Short target names where they mean exactly these modules in every block that the adapter knows, else whole paths.
std::vector<std::string> target_modules(const AdapterWeights& adapter) {
    std::set<std::string> targets, paths;
    std::map<std::string, std::set<std::string>> by_block; // "transformer_blocks.3" -> its targets
    std::map<std::string, std::set<std::string>> by_kind;  // "transformer_blocks" -> targets
    for (const auto& [path, m] : adapter.modules) {
        paths.insert(path);
        targets.insert(target_of(path));
        const size_t dot = path.find('.', path.find("transformer_blocks.") + 19);
        if (path.find("transformer_blocks.") == std::string::npos || dot == std::string::npos) continue;
        by_block[path.substr(0, dot)].insert(target_of(path));
        by_kind[path.substr(0, path.find('.'))].insert(target_of(path));
    }
    bool exact = by_kind.size() == 2 &&
                 !targets.count("proj_out"); // proj_out alone names both the last layer and a part of single blocks
    for (const auto& [block, own] : by_block) exact = exact && own == by_kind[block.substr(0, block.find('.'))];
    for (const char* shared : {"to_q", "to_k", "to_v"})
        for (const auto& [kind, own] : by_kind) exact = exact && own.count(shared) == targets.count(shared);
    const std::set<std::string>& chosen = exact ? targets : paths;
    return {chosen.begin(), chosen.end()};
}

template <class Value>
Value most_common(const AdapterWeights& adapter, Value LoraModule::* member) {
    std::map<Value, size_t> counts;
    for (const auto& [path, m] : adapter.modules) ++counts[m.*member];
    return std::max_element(counts.begin(), counts.end(), [](const auto& x, const auto& y) {
        return x.second < y.second;
    })->first;
}

nlohmann::json number(float value) {
    if (value == std::floor(value) && std::abs(value) < 1e9f) return static_cast<int64_t>(value);
    return value;
}

// peft's LoraConfig as diffusers packs it, with the fields that every peft since 0.13 knows: an unknown one makes
// loading fail there.
std::string metadata_text(const AdapterWeights& adapter) {
    const int64_t rank = most_common(adapter, &LoraModule::rank);
    const float alpha = most_common(adapter, &LoraModule::alpha);
    nlohmann::json ranks = nlohmann::json::object(), alphas = nlohmann::json::object();
    for (const auto& [path, m] : adapter.modules) {
        if (m.rank != rank)
            ranks["^" + path] = m.rank; // "^": this path only, as diffusers does; "proj_out" alone would also match
                                                        // every single block's
        if (m.alpha != alpha) alphas["^" + path] = number(m.alpha);
    }
    const nlohmann::json config = {{"alpha_pattern", alphas}, {"auto_mapping", nullptr},
        {"base_model_name_or_path", nullptr}, {"bias", "none"}, {"fan_in_fan_out", false}, {"inference_mode", false},
        {"init_lora_weights", "gaussian"}, {"layer_replication", nullptr}, {"layers_pattern", nullptr},
        {"layers_to_transform", nullptr}, {"loftq_config", nlohmann::json::object()}, {"lora_alpha", number(alpha)},
        {"lora_dropout", 0.0}, {"megatron_config", nullptr}, {"megatron_core", "megatron.core"},
        {"modules_to_save", nullptr}, {"peft_type", "LORA"}, {"r", rank}, {"rank_pattern", ranks},
        {"revision", nullptr}, {"target_modules", target_modules(adapter)}, {"task_type", nullptr}, {"use_dora", false},
        {"use_rslora", false}};
    nlohmann::json packed = nlohmann::json::object();
    for (const auto& [key, value] : config.items()) packed[kPrefix + key] = value;
    return packed.dump(2);
}

} // namespace

AdapterWeights read_diffusers_adapter(const WeightSource& source, const SafetensorsFile& file) {
    const Settings settings = find_settings(file);
    AdapterWeights adapter;
    std::vector<std::string> unknown;
    std::map<std::string, float> alphas;
    for (const auto& [name, tensor] : file.tensors()) {
        if (name.ends_with(".alpha")) {
            alphas[module_path(name.substr(0, name.size() - 6))] = read_alpha(source, name);
            continue;
        }
        const auto suffix = std::find_if(std::begin(kSuffixes), std::end(kSuffixes),
            [&](const Suffix& s) { return name.ends_with(s.a) || name.ends_with(s.b); });
        if (suffix == std::end(kSuffixes) || name.starts_with("text_encoder")) {
            unknown.push_back(name);
            continue;
        }
        const bool is_a = name.ends_with(suffix->a);
        const std::string base = name.substr(0, name.size() - std::string(is_a ? suffix->a : suffix->b).size()),
                          path = module_path(base);
        if (!is_a) {
            require(source.find(base + suffix->a), ErrorCode::corrupt, file.path(), ": tensor ", in_quotes(name),
                " has no partner ", in_quotes(base + suffix->a));
            continue;
        }
        require(!adapter.modules.count(path), ErrorCode::corrupt, file.path(), ": module ", in_quotes(path),
            " is there twice");
        LoraModule& m = adapter.modules[path] = read_pair(source, name, base + suffix->b);
        if (settings.known) settings.apply(path, m);
    }
    if (!unknown.empty()) unknown_adapter_names(file.path(), unknown);
    for (const auto& [path, alpha] : alphas) {
        const auto m = adapter.modules.find(path);
        require(m != adapter.modules.end(), ErrorCode::corrupt, file.path(), ": alpha of ", in_quotes(path),
            ", which has no weights");
        if (!settings.known) m->second.alpha = alpha;
    }
    return adapter;
}

AdapterFile diffusers_file(const AdapterWeights& adapter, const Metadata& metadata) {
    AdapterFile file;
    SafetensorsWriter& writer = file.writer;
    for (const auto& [module, m] : adapter.modules) {
        writer.add(kPrefix + module + ".lora_A.weight", {m.rank, m.in}, m.a);
        writer.add(kPrefix + module + ".lora_B.weight", {m.out, m.rank}, m.b);
    }
    for (const auto& [key, value] : metadata)
        if (!key.starts_with("ss_")) writer.set_metadata(key, value);
    writer.set_metadata("format", "pt");
    writer.set_metadata(kMetadata, metadata_text(adapter));
    return file;
}

} // namespace atelier
