#include "adapters/module_names.h"
#include <algorithm>
#include <cctype>
#include <charconv>

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

// Names that are only read. XLabs' first LoRA of a processor is the picture's stream, its second the text's.
const std::vector<Row>& more_double_rows() {
    static const std::vector<Row> rows{{"processor_qkv_lora1", {"attn.to_q", "attn.to_k", "attn.to_v"}},
        {"processor_qkv_lora2", {"attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"}},
        {"processor_proj_lora1", {"attn.to_out.0"}}, {"processor_proj_lora2", {"attn.to_add_out"}}};
    return rows;
}

const std::vector<Row>& more_single_rows() {
    static const std::vector<Row> rows{{"processor_qkv_lora", {"attn.to_q", "attn.to_k", "attn.to_v"}},
        {"processor_qkv_lora1", {"attn.to_q", "attn.to_k", "attn.to_v"}}, {"processor_proj_lora", {"proj_out"}},
        {"processor_proj_lora1", {"proj_out"}},
        {"linear1_qkv", {"attn.to_q", "attn.to_k", "attn.to_v"}}}; // ComfyUI's name for the first rows of linear1
    return rows;
}

const std::vector<Row>& more_outer_rows() {
    static const std::vector<Row> rows{{"img_in_proj", {"x_embedder"}}}; // OneTrainer's
    return rows;
}

struct Family {
    const char* bfl;     // of a block, without its number
    const char* path;    // the same in diffusers
    const std::vector<Row>& rows;
    const std::vector<Row>& more;
};

const std::vector<Family>& families() {
    static const std::vector<Family> all{{"double_blocks", "transformer_blocks", double_rows(), more_double_rows()},
        {"single_blocks", "single_transformer_blocks", single_rows(), more_single_rows()},
        {"", "", outer_rows(), more_outer_rows()}};
    return all;
}

std::string flattened(std::string text) {
    std::replace(text.begin(), text.end(), '.', '_');
    return text;
}

// Reads "<blocks><separator><number><separator>" and leaves the rest; all of the text for what is in no block.
bool take_block(
    const std::string& text, const std::string& blocks, char separator, std::string& index, std::string& rest) {
    index.clear();
    rest = text;
    if (blocks.empty()) return true;
    if (!text.starts_with(blocks + separator)) return false;
    const char* first = text.data() + blocks.size() + 1;
    const char* last = text.data() + text.size();
    unsigned number = 0;
    const auto [end, wrong] = std::from_chars(first, last, number);
    if (wrong != std::errc() || end == last || *end != separator || number > 9999) return false;
    index.assign(first, end);
    rest.assign(end + 1, last);
    return index == std::to_string(number); // "007" would be a second name of block 7
}

FluxModule made(const Family& family, const std::string& index, const Row& row, std::vector<const char*> parts) {
    FluxModule m;
    m.kohya = "lora_unet_" + (index.empty() ? std::string() : std::string(family.bfl) + "_" + index + "_") + row.name;
    for (const char* part : parts)
        m.parts.push_back((index.empty() ? std::string() : std::string(family.path) + "." + index + ".") + part);
    m.by_bfl = true;
    m.shift_scale_swapped = row.name == std::string("final_layer_adaLN_modulation_1");
    m.alpha_ignored = std::string(row.name).starts_with("final_layer");
    return m;
}

// A name by BFL, or one part of a fused linear by its number, as OneTrainer writes it.
FluxModule by_bfl(const Family& family, const std::string& index, const std::string& rest) {
    for (const Row& row : family.rows) {
        if (rest == row.name) return made(family, index, row, row.parts);
        for (size_t p = 0; row.parts.size() > 1 && p < row.parts.size(); ++p)
            if (rest == row.name + ("_" + std::to_string(p))) return made(family, index, row, {row.parts[p]});
    }
    for (const Row& row : family.more)
        if (rest == row.name) return made(family, index, row, row.parts);
    return {};
}

FluxModule by_diffusers(const Family& family, const std::string& index, const std::string& rest) {
    for (const Row& row : family.rows)
        for (const char* part : row.parts)
            if (rest == flattened(part)) {
                FluxModule m = made(family, index, row, {part});
                m.shift_scale_swapped = m.by_bfl = false;
                return m;
            }
    return {};
}

} // namespace

FluxModule flux_module(const std::string& name) {
    std::string text = flattened(name), index, rest;
    if (text.ends_with('_')) text.pop_back();
    for (const Family& family : families()) {
        FluxModule found;
        if (take_block(text, family.bfl, '_', index, rest)) found = by_bfl(family, index, rest);
        if (!found.known() && take_block(text, family.path, '_', index, rest))
            found = by_diffusers(family, index, rest);
        if (found.known()) return found;
    }
    return {};
}

FluxModule kohya_module_of(const std::string& path) {
    std::string index, rest;
    for (const Family& family : families()) {
        if (!take_block(path, family.path, '.', index, rest)) continue;
        for (const Row& row : family.rows)
            if (std::any_of(row.parts.begin(), row.parts.end(), [&](const char* p) { return rest == p; }))
                return made(family, index, row, row.parts);
    }
    return {};
}

} // namespace atelier
