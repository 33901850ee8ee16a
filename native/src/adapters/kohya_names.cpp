#include "adapters/kohya_names.h"
#include <algorithm>
#include <cctype>

namespace atelier {
namespace {

struct Row {
    const char* name;
    std::vector<const char*> parts;
};

const std::vector<Row>& double_rows() {
    static const std::vector<Row> rows{{"img_attn_qkv", {"attn.to_q", "attn.to_k", "attn.to_v"}},
        {"txt_attn_qkv", {"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"}},
        {"img_attn_proj", {"attn.to_out.0"}}, {"txt_attn_proj", {"attn.to_add_out"}}, {"img_mlp_0", {"ff.net.0.proj"}},
        {"img_mlp_2", {"ff.net.2"}}, {"txt_mlp_0", {"ff_context.net.0.proj"}}, {"txt_mlp_2", {"ff_context.net.2"}},
        {"img_mod_lin", {"norm1.linear"}}, {"txt_mod_lin", {"norm1_context.linear"}}};
    return rows;
}

const std::vector<Row>& single_rows() {
    static const std::vector<Row> rows{{"linear1", {"attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"}},
        {"linear2", {"proj_out"}}, {"modulation_lin", {"norm.linear"}}};
    return rows;
}

const std::vector<Row>& outer_rows() {
    static const std::vector<Row> rows{{"img_in", {"x_embedder"}}, {"txt_in", {"context_embedder"}},
        {"time_in_in_layer", {"time_text_embed.timestep_embedder.linear_1"}},
        {"time_in_out_layer", {"time_text_embed.timestep_embedder.linear_2"}},
        {"vector_in_in_layer", {"time_text_embed.text_embedder.linear_1"}},
        {"vector_in_out_layer", {"time_text_embed.text_embedder.linear_2"}},
        {"guidance_in_in_layer", {"time_text_embed.guidance_embedder.linear_1"}},
        {"guidance_in_out_layer", {"time_text_embed.guidance_embedder.linear_2"}},
        {"final_layer_adaLN_modulation_1", {"norm_out.linear"}}, {"final_layer_linear", {"proj_out"}}};
    return rows;
}

KohyaModule made(const std::string& prefix, const std::string& path_prefix, const Row& row) {
    KohyaModule m;
    m.name = prefix + row.name;
    for (const char* part : row.parts) m.parts.push_back(path_prefix + part);
    m.shift_scale_swapped = row.name == std::string("final_layer_adaLN_modulation_1");
    m.alpha_ignored = std::string(row.name).starts_with("final_layer");
    return m;
}

// Reads "<lead><number><separator>" and leaves the rest.
bool take_block(
    const std::string& text, const std::string& lead, char separator, std::string& index, std::string& rest) {
    if (!text.starts_with(lead)) return false;
    size_t end = lead.size();
    while (end < text.size() && std::isdigit(static_cast<unsigned char>(text[end]))) ++end;
    if (end == lead.size() || end - lead.size() > 6 || end >= text.size() || text[end] != separator) return false;
    index = text.substr(lead.size(), end - lead.size());
    rest = text.substr(end + 1);
    return true;
}

struct Family {
    const char* kohya;
    const char* path;
    const std::vector<Row>& rows;
};

std::vector<Family> families() {
    return {{"double_blocks_", "transformer_blocks.", double_rows()},
        {"single_blocks_", "single_transformer_blocks.", single_rows()}};
}

} // namespace

KohyaModule kohya_module(const std::string& name) {
    const std::string prefix = "lora_unet_";
    if (!name.starts_with(prefix)) return {};
    const std::string text = name.substr(prefix.size());
    std::string index, rest;
    for (const Family& family : families())
        if (take_block(text, family.kohya, '_', index, rest))
            for (const Row& row : family.rows)
                if (rest == row.name) return made(prefix + family.kohya + index + "_", family.path + index + ".", row);
    for (const Row& row : outer_rows())
        if (text == row.name) return made(prefix, "", row);
    return {};
}

KohyaModule kohya_module_of(const std::string& path) {
    const auto holds = [](const Row& row, const std::string& part) {
        return std::any_of(row.parts.begin(), row.parts.end(), [&](const char* p) { return part == p; });
    };
    std::string index, rest;
    for (const Family& family : families())
        if (take_block(path, family.path, '.', index, rest))
            for (const Row& row : family.rows)
                if (holds(row, rest))
                    return made(std::string("lora_unet_") + family.kohya + index + "_", family.path + index + ".", row);
    for (const Row& row : outer_rows())
        if (holds(row, path)) return made("lora_unet_", "", row);
    return {};
}

} // namespace atelier
