// The training goldens: options as the manifest states them, and samples as its runs took them.
#pragma once
#include "atelier/testing.h"
#include "goldens.h"

namespace atelier::test {

inline TrainOptions golden_options() {
    const nlohmann::json config = fixture_json("manifest.json")["config"];
    TrainOptions o;
    o.rank = config["rank"];
    o.alpha = config["alpha"].get<float>();
    o.targets = config["targets"].get<std::vector<std::string>>();
    return o;
}

inline std::string transformer_dir() { return fixtures_dir() + "/model/transformer"; }

// "start.<module>.lora_A.default.weight" and its B, for every module: peft's names.
inline Adapter adapter_of(const GoldenFile& file, const std::string& prefix, const TrainOptions& options) {
    Adapter adapter;
    const std::string end = ".lora_A.default.weight";
    for (const auto& [name, tensor] : file.file().tensors()) {
        if (!name.starts_with(prefix) || !name.ends_with(end)) continue;
        const std::string path = name.substr(prefix.size(), name.size() - prefix.size() - end.size());
        const Golden a = file[name], b = file[prefix + path + ".lora_B.default.weight"];
        adapter.modules[path] = {a.shape[0], a.shape[1], b.shape[0], options.alpha_or_default(), a.data, b.data};
    }
    return adapter;
}

} // namespace atelier::test
