#include "adapters/settings.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include <cmath>
#include <filesystem>

namespace atelier {
namespace {

constexpr size_t kMostPatternText = 64u << 10; // one for each of FLUX's 502 linears has 28 KB

// With so many a file's 502 linears are compared in a moment, whatever the patterns are.
constexpr size_t kMostAlternatives = 4096, kMostRepeats = 256;

// What an adapter that has it does beside B · A, which nothing here does.
void refuse_others(const JsonObject& json, const std::string& prefix) {
    const auto refuse = [&](const std::string& field, const std::string& why) {
        fail(ErrorCode::unsupported, json.label(), ": ", field, " is ", brief(json.scalar_text(prefix + field), 80),
            ": ", why);
    };
    const auto given = [&](const std::string& field) {
        if (!json.has(prefix + field)) return false;
        const std::string text = json.scalar_text(prefix + field);
        return text != "false" && text != "[]" && text != "{}" && text != "\"\"";
    };
    if (given("use_dora")) refuse("use_dora", "this adapter uses DoRA; only plain LoRA is supported");
    if (given("peft_type") && json.string(prefix + "peft_type") != "LORA")
        refuse("peft_type", "only plain LoRA is supported");
    if (given("use_qalora")) refuse("use_qalora", "only plain LoRA is supported");
    if (given("modules_to_save")) refuse("modules_to_save", "whole weights beside the LoRA are not applied");
    if (given("target_parameters")) refuse("target_parameters", "LoRA is applied to linears only");
    if (given("layer_replication")) refuse("layer_replication", "blocks are not repeated");
    if (!given("init_lora_weights")) return;
    const std::string start = json.scalar_text(prefix + "init_lora_weights");
    for (const char* changing : {"\"pissa", "\"olora", "\"corda"})
        if (start.starts_with(changing))
            refuse("init_lora_weights", "it changes the base's own weights, which this file does not hold; save it "
                                        "with path_initial_model_for_weight_conversion");
}

} // namespace

void PeftSettings::read(const std::string& text, const std::string& label, const std::string& prefix) {
    const JsonObject json = JsonObject::parse(text, label);
    refuse_others(json, prefix);
    known_ = json.has(prefix + "lora_alpha");
    if (!known_) return;
    alpha_ = json.number(prefix + "lora_alpha");
    rank_stabilised_ = json.boolean(prefix + "use_rslora", false);
    if (!json.has(prefix + "alpha_pattern")) return;
    const JsonObject pattern = json.object(prefix + "alpha_pattern");
    const std::vector<std::string> keys = JsonObject::keys_in_order(text, prefix + "alpha_pattern");
    size_t length = 0;
    for (const std::string& key : keys) length += key.size();
    require(length <= kMostPatternText, ErrorCode::unsupported, label, ": alpha_pattern's patterns are ", length,
        " characters long, of which ", kMostPatternText, " are read");
    size_t alternatives = 0, repeats = 0;
    for (const std::string& key : keys) {
        const auto& [compiled, alpha] =
            alpha_pattern_.emplace_back(PathPattern(key, "alpha_pattern"), pattern.number(key));
        alternatives += compiled.alternatives();
        repeats += compiled.repeats();
    }
    require(alternatives <= kMostAlternatives && repeats <= kMostRepeats, ErrorCode::unsupported, label,
        ": alpha_pattern has ", alternatives, " patterns with ", repeats, " of * + ? in them, of which ",
        kMostAlternatives, " with ", kMostRepeats, " are read: name the modules' paths");
}

PeftSettings PeftSettings::of(const SafetensorsFile& file) {
    PeftSettings settings;
    const auto metadata = file.metadata().find(kPeftMetadata);
    if (metadata != file.metadata().end()) {
        settings.read(metadata->second, file.path() + ": metadata " + kPeftMetadata, "transformer.");
    } else if (file.mapping()) { // a file on disk, which has a folder
        const auto config = std::filesystem::path(file.path()).replace_filename("adapter_config.json");
        if (std::filesystem::exists(config)) {
            const auto mapped = MappedFile::open(config.string());
            const std::string text(reinterpret_cast<const char*>(mapped->bytes().data()), mapped->bytes().size());
            settings.read(text, config.string(), "");
        }
    }
    return settings;
}

float PeftSettings::alpha(const std::string& path, int64_t rank) const {
    double value = alpha_;
    for (const auto& [pattern, exception] : alpha_pattern_)
        if (pattern.matches(path)) {
            value = exception;
            break;
        }
    return static_cast<float>(rank_stabilised_ ? value * std::sqrt(static_cast<double>(rank)) : value);
}

} // namespace atelier
