// Writes diffusers' pytorch_lora_weights.safetensors, with peft's settings in its metadata.
#include "adapters/files.h"
#include "adapters/settings.h"
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

namespace atelier {
namespace {

const std::string kPrefix = "transformer.";

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

AdapterFile diffusers_file(const AdapterWeights& adapter, const Metadata& metadata) {
    AdapterFile file;
    SafetensorsWriter& writer = file.writer;
    for (const auto& [module, m] : adapter.modules) {
        writer.add(kPrefix + module + ".lora_A.weight", {m.rank, m.in}, m.a);
        writer.add(kPrefix + module + ".lora_B.weight", {m.out, m.rank}, m.b);
    }
    for (const auto& [key, value] : metadata)
        if (key != "ss_network_module") writer.set_metadata(key, value); // kohya's class, which wrote other names
    writer.set_metadata("format", "pt");
    writer.set_metadata(kPeftMetadata, metadata_text(adapter));
    return file;
}

} // namespace atelier
