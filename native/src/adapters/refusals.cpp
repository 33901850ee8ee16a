#include "adapters/refusals.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>
#include <map>

namespace atelier {
namespace {

using std::string_view;

struct Sign {
    string_view part; // of a tensor's name, dots as underscores
    const char* model;
};

// The first that is found in any name decides; the more telling ones first.
constexpr Sign kSigns[] = {{"distilled_guidance_layer", "Chroma"}, {"double_stream_modulation", "FLUX.2"},
    {"single_stream_modulation", "FLUX.2"}, {"to_qkv_mlp_proj", "FLUX.2"}, {"joint_blocks_", "Stable Diffusion 3"},
    {"joint_transformer_blocks_", "AuraFlow"}, {"individual_token_refiner", "HunyuanVideo"},
    {"img_mlp_fc1", "HunyuanVideo"}, {"img_mlp_fc2", "HunyuanVideo"}, {"double_stream_blocks_", "HiDream"},
    {"single_stream_blocks_", "HiDream"}, {"img_mlp_net_", "Qwen-Image"}, {"txt_mlp_net_", "Qwen-Image"},
    {"img_mod_1", "Qwen-Image"}, {"caption_projection", "PixArt or LTX-Video"},
    {"scale_shift_table", "PixArt or LTX-Video"}, {"_cross_attn_", "Wan"}, {"_self_attn_", "Wan"},
    {"layers_0_attention", "Z-Image or Lumina"}, {"context_refiner", "Z-Image or Lumina"},
    {"noise_refiner", "Z-Image or Lumina"}};

constexpr string_view kUnet[] = {
    "down_blocks_", "up_blocks_", "mid_block_", "input_blocks_", "output_blocks_", "middle_block_"};

std::string flat(std::string text) {
    std::replace(text.begin(), text.end(), '.', '_');
    return text;
}

bool has(const std::string& name, string_view part) { return name.find(part) != std::string::npos; }

// Of the UNets only XL puts a second transformer block into an attention, and its text is 2048 wide.
std::string unet_model(const std::vector<UnusableTensor>& tensors) {
    int64_t text_width = 0;
    for (const UnusableTensor& t : tensors) {
        const std::string name = flat(t.name);
        if (has(name, "transformer_blocks_1_") || has(name, "lora_te2") || has(name, "add_embedding") ||
            has(name, "label_emb"))
            return "Stable Diffusion XL";
        if (t.role == Role::down && (has(name, "attn2_to_k") || has(name, "attn2_to_v")) && t.shape.size() >= 2)
            text_width = t.shape[1];
        // XL begins its attention in the second of its blocks only.
        if (has(name, "down_blocks_0_attentions")) return "Stable Diffusion 1 or 2";
    }
    if (text_width == 768) return "Stable Diffusion 1.5";
    if (text_width == 1024) return "Stable Diffusion 2";
    return text_width == 2048 ? "Stable Diffusion XL" : "Stable Diffusion (SDXL, 1.5 or 2)";
}

std::string model_of(const std::vector<UnusableTensor>& tensors) {
    const auto any = [&](string_view part) {
        return std::any_of(tensors.begin(), tensors.end(),
            [&](const UnusableTensor& t) { return !t.of_flux && has(flat(t.name), part); });
    };
    for (const string_view block : kUnet)
        if (any(block)) return unet_model(tensors);
    for (const Sign& sign : kSigns)
        if (any(sign.part)) return sign.model;
    return "";
}

std::string method_of(const std::vector<UnusableTensor>& tensors) {
    const auto any = [&](Role role) {
        return std::any_of(tensors.begin(), tensors.end(), [&](const UnusableTensor& t) { return t.role == role; });
    };
    const std::string plain = "; only plain LoRA is supported";
    if (any(Role::dora)) return "this is DoRA, which scales each output by a trained magnitude" + plain;
    if (any(Role::lokr)) return "this is LoKr (LyCORIS), made of Kronecker products" + plain;
    if (any(Role::loha)) return "this is LoHa (LyCORIS), made of elementwise products" + plain;
    if (any(Role::oft)) return "this is OFT, made of rotations" + plain;
    if (any(Role::other_method)) return "this is neither LoRA nor a method that is applied" + plain;
    if (any(Role::weight_diff))
        return "these change whole weights, which is not applied, only LoRA pairs are; extract a LoRA from them";
    if (any(Role::bias_diff) || any(Role::up_bias) || any(Role::down_bias))
        return "these change biases, which is not applied, only LoRA pairs are; train it without biases";
    return "";
}

// The width of x_embedder tells of FLUX.1's control LoRAs; so do norms that stand in the place of the model's.
bool is_control(const std::vector<UnusableTensor>& tensors) {
    return std::any_of(tensors.begin(), tensors.end(), [](const UnusableTensor& t) {
        return t.role == Role::whole && (has(flat(t.name), "query_norm") || has(flat(t.name), "key_norm"));
    });
}

std::string said_base(const std::map<std::string, std::string>& metadata) {
    for (const char* key : {"modelspec.architecture", "ss_base_model_version"}) {
        const auto it = metadata.find(key);
        if (it != metadata.end() && !has(it->second, "flux"))
            return std::string("; its metadata says ") + key + ": " + in_quotes(it->second);
    }
    return "";
}

std::string reason(const std::vector<UnusableTensor>& tensors) {
    if (const std::string model = model_of(tensors); !model.empty())
        return "this was made for " + model + ", not for FLUX.1";
    if (is_control(tensors))
        return "this is a control LoRA of FLUX.1 (depth, canny): it takes a second picture, which is not drawn with "
               "here";
    if (const std::string method = method_of(tensors); !method.empty()) return method;
    const bool whole = std::any_of(
        tensors.begin(), tensors.end(), [](const UnusableTensor& t) { return t.role == Role::whole && t.of_flux; });
    if (whole) return "these are whole weights, as of a checkpoint or of peft's modules_to_save, and no LoRA";
    return "not the names of a FLUX.1 LoRA";
}

} // namespace

void refuse_tensors(const std::string& label, const std::vector<UnusableTensor>& tensors,
    const std::map<std::string, std::string>& metadata) {
    std::vector<std::string> names;
    for (const UnusableTensor& t : tensors) names.push_back(t.name);
    fail(
        ErrorCode::unsupported, label, ": ", reason(tensors), said_base(metadata), ". Tensors ", quoted_list(names, 3));
}

void refuse_other_inputs(const std::string& label, const std::string& path, int64_t in) {
    if (path != "x_embedder") return;
    const char* of = in == 384   ? "FLUX.1 Fill, which takes a masked picture and its mask as well"
                     : in == 128 ? "a control LoRA of FLUX.1 (depth, canny), which takes a second picture as well"
                                 : nullptr;
    if (of)
        fail(ErrorCode::unsupported, label, ": x_embedder has ", in, " inputs where FLUX.1 has 64: this is for ", of);
}

} // namespace atelier
