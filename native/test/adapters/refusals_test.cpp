// What cannot be applied is refused in words that name the kind.
#include "formats/support.h"
#include "spelled.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr char kQ[] = "transformer.transformer_blocks.0.attn.to_q";

// A sound LoRA with the tensors beside it, which must be refused with each part of the text.
void refused(const std::vector<std::pair<std::string, Shape>>& tensors, const std::vector<std::string>& parts,
    bool beside = true) {
    std::mt19937 random(1);
    SpelledFile file;
    const LoraModule m = spelled_module(2, kWidth, kWidth, 2, random);
    if (beside) file.add_pair(std::string(kQ) + ".lora_A.weight", std::string(kQ) + ".lora_B.weight", m);
    for (const auto& [name, shape] : tensors) {
        int64_t count = 1;
        for (const int64_t d : shape) count *= d;
        file.add(name, shape, spelled_values(count, random));
    }
    const std::vector<std::byte> bytes = file.bytes();
    CAPTURE(tensors.front().first);
    check_error(ErrorCode::unsupported, parts, [&] { Adapter::inspect(bytes, "a file"); });
    check_error(ErrorCode::unsupported, parts, [&] { Adapter::from_bytes(bytes, "a file"); });
}

} // namespace

TEST_CASE("methods beside plain LoRA") {
    const std::string flat = "lora_unet_double_blocks_0_img_attn_qkv",
                      lycoris = "lycoris_transformer_blocks_0_attn_to_q";
    refused({{flat + ".dora_scale", {12, 1}}}, {"DoRA", "dora_scale"});
    refused({{std::string(kQ) + ".lora_magnitude_vector", {12}}}, {"DoRA"});
    refused({{std::string(kQ) + ".lora_magnitude_vector.default.weight", {12}}}, {"DoRA"});
    for (const char* part : {".lokr_w1", ".lokr_w2_a", ".lokr_t2"})
        refused({{lycoris + part, {2, 2}}}, {"LoKr"}, false);
    for (const char* part : {".hada_w1_a", ".hada_w2_b"}) refused({{lycoris + part, {2, 2}}}, {"LoHa"}, false);
    for (const char* part : {".oft_blocks", ".oft_diag", ".oft_R.default.weight"})
        refused({{lycoris + part, {2, 2}}}, {"OFT"}, false);
    refused({{flat + ".lora_mid.weight", {2, 2, 3, 3}}}, {"neither LoRA"});
}

TEST_CASE("changes that are not zero are named with what they change") {
    refused({{"diffusion_model.double_blocks.0.img_attn.proj.diff_b", {12}}}, {"biases", "img_attn.proj.diff_b"});
    refused({{std::string(kQ) + ".lora_B.bias", {12}}}, {"biases", "lora_B.bias"});
    refused({{"diffusion_model.double_blocks.0.img_attn.norm.query_norm.scale.diff", {12}}},
        {"whole weights", "query_norm"});
    refused({{"diffusion_model.img_in.diff", {12, 12}}}, {"whole weights"});
    refused({{"base_model.model.proj_out.modules_to_save.weight", {12, 12}}}, {"proj_out"});
    refused({{"transformer.x_embedder.weight", {12, 12}}}, {"whole weights"});
}

TEST_CASE("other models by their names") {
    const auto pair = [](const std::string& module, int64_t in = 12) {
        return std::vector<std::pair<std::string, Shape>>{
            {module + ".lora_down.weight", {2, in}}, {module + ".lora_up.weight", {12, 2}}};
    };
    const auto made_for = [&](const std::string& module, const std::string& model, int64_t in = 12) {
        refused(pair(module, in), {"made for " + model, "not for FLUX.1"}, false);
    };
    made_for("lora_unet_down_blocks_1_attentions_0_transformer_blocks_1_attn1_to_q", "Stable Diffusion XL");
    made_for("lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k", "Stable Diffusion XL", 2048);
    made_for("unet.down_blocks.1.attentions.0.transformer_blocks.0.attn2.to_k", "Stable Diffusion XL", 2048);
    made_for("lora_unet_mid_block_attentions_0_transformer_blocks_0_attn2_to_v", "Stable Diffusion 1.5", 768);
    made_for("lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn1_to_q", "Stable Diffusion 1 or 2");
    made_for("diffusion_model.joint_blocks.0.x_block.attn.qkv", "Stable Diffusion 3");
    made_for("diffusion_model.blocks.0.cross_attn.q", "Wan");
    made_for("transformer.transformer_blocks.0.img_mlp.net.0.proj", "Qwen-Image");
    made_for("diffusion_model.distilled_guidance_layer.layers.0.in_layer", "Chroma");
    made_for("transformer.double_stream_modulation_img.linear", "FLUX.2");
    made_for("lora_unet_double_blocks_0_img_mlp_fc1", "HunyuanVideo");
    refused(pair("some.thing.else"), {"not the names of a FLUX.1 LoRA", "'some.thing.else.lora_down.weight'"}, false);
    refused(pair("transformer_blocks.007.attn.to_q"), {"not the names"}, false);
}

TEST_CASE("FLUX.1's other checkpoints by the width of their input, control LoRAs by their norms") {
    const auto embedder = [](int64_t in) {
        return std::vector<std::pair<std::string, Shape>>{
            {"transformer.x_embedder.lora_A.weight", {2, in}}, {"transformer.x_embedder.lora_B.weight", {12, 2}}};
    };
    refused(embedder(384), {"384 inputs", "Fill"});
    refused(embedder(128), {"128 inputs", "control LoRA"});
    refused({{"double_blocks.0.img_attn.norm.query_norm.scale", {12}}, {"single_blocks.0.linear1.lora_B.bias", {12}}},
        {"control LoRA"});
}

TEST_CASE("parts for text encoders alone are no adapter, nor is what is all zero") {
    refused({{"lora_te1_text_model_encoder_layers_0_mlp_fc1.lora_up.weight", {12, 2}}},
        {"only parts for the text encoders"}, false);
}
