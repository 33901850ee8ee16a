#include "adapters/settings.h"
#include "base/error.h"
#include "base/mapped_file.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include <cctype>
#include <cmath>
#include <filesystem>

namespace atelier {
namespace {

// One place of a pattern: the characters that fit, and how often.
struct Atom {
    std::string characters; // of a class, "a-z" spelled out; any character where `any`
    bool any = false, inverted = false, optional = false, repeated = false;

    bool fits(char c) const { return any || (characters.find(c) != std::string::npos) != inverted; }
};

constexpr char kDigits[] = "0123456789";
constexpr size_t kMostPatternText = 64u << 10; // one for each of FLUX's 502 linears has 28 KB

[[noreturn]] void unreadable(const std::string& label, const std::string& pattern) {
    fail(ErrorCode::unsupported, label, ": the pattern ", in_quotes(pattern),
        " is a regular expression that is not read: name the modules' paths, or their last parts");
}

Atom read_class(const std::string& pattern, size_t& at, const std::string& label) {
    Atom atom;
    if (at < pattern.size() && pattern[at] == '^') {
        atom.inverted = true;
        ++at;
    }
    for (; at < pattern.size() && pattern[at] != ']'; ++at) {
        if (pattern[at] == '\\') unreadable(label, pattern);
        if (at + 2 < pattern.size() && pattern[at + 1] == '-' && pattern[at + 2] != ']') {
            for (int c = pattern[at]; c <= pattern[at + 2]; ++c) atom.characters += static_cast<char>(c);
            at += 2;
        } else {
            atom.characters += pattern[at];
        }
    }
    if (at >= pattern.size()) unreadable(label, pattern);
    ++at;
    return atom;
}

Atom read_atom(const std::string& pattern, size_t& at, const std::string& label) {
    const char c = pattern[at++];
    Atom atom;
    if (c == '[') return read_class(pattern, at, label);
    if (c == '.') {
        atom.any = true;
    } else if (c == '\\') {
        if (at >= pattern.size()) unreadable(label, pattern);
        const char escaped = pattern[at++];
        if (escaped == 'd') atom.characters = kDigits;
        else if (std::isalnum(static_cast<unsigned char>(escaped))) unreadable(label, pattern);
        else atom.characters = escaped;
    } else if (std::string("(){}*+?^$").find(c) != std::string::npos) {
        unreadable(label, pattern);
    } else {
        atom.characters = c;
    }
    return atom;
}

std::vector<Atom> read_atoms(const std::string& pattern, const std::string& label) {
    std::vector<Atom> atoms;
    for (size_t at = 0; at < pattern.size();) {
        Atom atom = read_atom(pattern, at, label);
        if (at < pattern.size() && std::string("*+?").find(pattern[at]) != std::string::npos) {
            atom.optional = pattern[at] != '+';
            atom.repeated = pattern[at] != '?';
            ++at;
        }
        atoms.push_back(std::move(atom));
    }
    return atoms;
}

// Whether the atoms fit all of the text: all places that can have been reached go forward together, so that no pattern
// takes longer than its length times the text's.
bool fits_whole(const std::vector<Atom>& atoms, std::string_view text) {
    std::vector<char> reached(atoms.size() + 1), next;
    const auto pass_optional = [&](std::vector<char>& at) {
        for (size_t i = 0; i < atoms.size(); ++i)
            if (at[i] && atoms[i].optional) at[i + 1] = 1;
    };
    reached[0] = 1;
    pass_optional(reached);
    for (const char c : text) {
        next.assign(atoms.size() + 1, 0);
        for (size_t i = 0; i < atoms.size(); ++i)
            if (reached[i] && atoms[i].fits(c)) {
                next[i + 1] = 1;
                // Once more of the same: the place stays, and what it needs at least is there.
                if (atoms[i].repeated) next[i] = 1;
            }
        pass_optional(next);
        reached = next;
    }
    return reached[atoms.size()] != 0;
}

std::vector<std::string> alternatives(const std::string& pattern) {
    std::vector<std::string> all{""};
    for (size_t i = 0; i < pattern.size(); ++i) {
        if (pattern[i] == '|') all.emplace_back();
        else all.back() += pattern[i];
    }
    return all;
}

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

bool pattern_matches(const std::string& pattern, const std::string& path, const std::string& label) {
    for (std::string each : alternatives(pattern)) {
        const bool whole = each.starts_with("^");
        if (whole) each.erase(0, 1);
        if (each.ends_with("$") && !each.ends_with("\\$")) each.pop_back();
        const std::vector<Atom> atoms = read_atoms(each, label);
        if (fits_whole(atoms, path)) return true;
        for (size_t dot = path.find('.'); !whole && dot != std::string::npos; dot = path.find('.', dot + 1))
            if (fits_whole(atoms, std::string_view(path).substr(dot + 1))) return true;
    }
    return false;
}

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
    for (const std::string& key : keys) alpha_pattern_.emplace_back(key, pattern.number(key));
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
        if (pattern_matches(pattern, path, "alpha_pattern")) {
            value = exception;
            break;
        }
    return static_cast<float>(rank_stabilised_ ? value * std::sqrt(static_cast<double>(rank)) : value);
}

} // namespace atelier
