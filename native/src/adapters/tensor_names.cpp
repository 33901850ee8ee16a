#include "adapters/tensor_names.h"
#include <array>
#include <string_view>

namespace atelier {
namespace {

using std::string_view;

// In any order and number: trainers wrap a model in another's names.
constexpr string_view kPrefixes[] = {"transformer.", "base_model.model.", "diffusion_model.", "model.diffusion_model.",
    "model.", "module.", "_orig_mod.", "unet.", "lora_unet_", "lora_transformer_", "lycoris_", "base_model_model_",
    "diffusion_model_", "_orig_mod_"};

struct OwnerPrefix {
    string_view text;
    Owner owner;
};
// The longer first where one begins another.
constexpr OwnerPrefix kOwners[] = {{"lora_te2", Owner::t5}, {"lora_te3", Owner::t5}, {"lora_t5", Owner::t5},
    {"lycoris_te2", Owner::t5}, {"lora_te", Owner::clip}, {"lycoris_te", Owner::clip}, {"lora_clip", Owner::clip},
    {"text_encoder_2", Owner::t5}, {"text_encoder_3", Owner::t5}, {"text_encoder2", Owner::t5},
    {"text_encoders.t5", Owner::t5}, {"text_encoder", Owner::clip}, {"t5.", Owner::t5}, {"t5xxl.", Owner::t5},
    {"t5_", Owner::t5}, {"clip_l.", Owner::clip}, {"clip_g.", Owner::clip}, {"clip_l_", Owner::clip},
    {"text_model.", Owner::clip}, {"text_model_", Owner::clip}, {"te1_", Owner::clip}, {"te2_", Owner::t5},
    {"cond_stage_model.", Owner::clip}, {"conditioner.", Owner::clip}, {"encoder.block.", Owner::t5},
    {"bundle_emb", Owner::embedding}, {"emb_params", Owner::embedding}, {"string_to_param", Owner::embedding},
    {"string_to_token", Owner::embedding}};
constexpr string_view kEmbeddings[] = {"clip_l", "clip_g", "t5", "t5xxl"}; // a whole name

struct Suffix {
    string_view text;
    Role role;
};
constexpr Suffix kSuffixes[] = {{".lora_linear_layer.down.weight", Role::down},
    {".lora_linear_layer.up.weight", Role::up}, {".lora.down.weight", Role::down}, {".lora.up.weight", Role::up},
    {".lora_down.weight", Role::down}, {".lora_up.weight", Role::up}, {".lora_A.weight", Role::down},
    {".lora_B.weight", Role::up}, {".lora_A", Role::down}, {".lora_B", Role::up}, {".lora_down", Role::down},
    {".lora_up", Role::up}, {".down.weight", Role::down}, {".up.weight", Role::up}, {".lora_A.bias", Role::down_bias},
    {".lora_B.bias", Role::up_bias}, {".lora_down.bias", Role::down_bias}, {".lora_up.bias", Role::up_bias},
    {".lora.down.bias", Role::down_bias}, {".lora.up.bias", Role::up_bias}, {".down.bias", Role::down_bias},
    {".up.bias", Role::up_bias}, {".alpha", Role::alpha}, {".diff", Role::weight_diff}, {".diff_b", Role::bias_diff},
    {".w_norm", Role::weight_diff}, {".b_norm", Role::bias_diff}, {".set_weight", Role::whole},
    {".reshape_weight", Role::whole}, {".dora_scale", Role::dora}, {".lora_mid.weight", Role::other_method},
    {".on_input", Role::other_method}, {".a1.weight", Role::other_method}, {".a2.weight", Role::other_method},
    {".b1.weight", Role::other_method}, {".b2.weight", Role::other_method}};

// Methods whose tensors carry more after the word: ".lokr_w1_a", ".oft_R.default.weight".
constexpr Suffix kWords[] = {{".lora_magnitude_vector", Role::dora}, {".lokr_", Role::lokr}, {".hada_", Role::loha},
    {".oft_", Role::oft}, {".boft_", Role::oft}, {".vera_lambda", Role::other_method}, {".ia3_", Role::other_method}};
// What is left of a weight's own name.
constexpr Suffix kWholes[] = {{".weight", Role::whole}, {".bias", Role::whole}, {".scale", Role::whole}};

// peft puts an adapter's name between: ".lora_A.default.weight". Only names without a dot are one.
bool without_adapter_name(string_view name, std::string& plain) {
    for (const string_view half : {string_view(".lora_A."), string_view(".lora_B.")})
        for (const string_view end : {string_view(".weight"), string_view(".bias")}) {
            const size_t at = name.rfind(half);
            if (at == string_view::npos || !name.ends_with(end)) continue;
            const size_t begin = at + half.size();
            if (begin + end.size() >= name.size()) continue;
            const string_view between = name.substr(begin, name.size() - end.size() - begin);
            if (between.find('.') != string_view::npos) continue;
            plain = std::string(name.substr(0, begin - 1)) + std::string(end);
            return true;
        }
    return false;
}

string_view without_prefixes(string_view name) {
    for (bool again = true; again;) {
        again = false;
        for (const string_view prefix : kPrefixes)
            if (name.starts_with(prefix)) {
                name.remove_prefix(prefix.size());
                again = true;
            }
    }
    // Flattened, "transformer." cannot be told from the first word of "transformer_blocks" but by what follows.
    for (const string_view blocks :
        {string_view("transformer_transformer_blocks_"), string_view("transformer_single_transformer_blocks_"),
            string_view("transformer_double_blocks_"), string_view("transformer_single_blocks_")})
        if (name.starts_with(blocks)) name.remove_prefix(string_view("transformer_").size());
    return name;
}

bool of_another(string_view name, Owner& owner) {
    for (const OwnerPrefix& prefix : kOwners)
        if (name.starts_with(prefix.text)) {
            owner = prefix.owner;
            return true;
        }
    for (const string_view whole : kEmbeddings)
        if (name == whole) {
            owner = Owner::embedding;
            return true;
        }
    return false;
}

bool cut_suffix(string_view name, TensorName& found) {
    for (const Suffix& suffix : kSuffixes)
        if (name.ends_with(suffix.text)) {
            found.role = suffix.role;
            found.module = name.substr(0, name.size() - suffix.text.size());
            return true;
        }
    for (const Suffix& word : kWords)
        if (const size_t at = name.find(word.text); at != string_view::npos) {
            found.role = word.role;
            found.module = name.substr(0, at);
            return true;
        }
    for (const Suffix& suffix : kWholes)
        if (name.ends_with(suffix.text)) {
            found.role = suffix.role;
            found.module = name.substr(0, name.size() - suffix.text.size());
            return true;
        }
    return false;
}

} // namespace

TensorName tensor_name(const std::string& name) {
    TensorName found;
    string_view rest = name;
    const bool another = of_another(rest, found.owner);
    if (!another) {
        rest = without_prefixes(rest);
        of_another(rest, found.owner);
    }
    std::string plain;
    if (without_adapter_name(rest, plain)) rest = plain;
    if (!cut_suffix(rest, found)) found.module = rest;
    return found;
}

} // namespace atelier
