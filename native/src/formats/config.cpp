#include "formats/config.h"
#include "base/error.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include <cmath>
#include <filesystem>

namespace atelier {
namespace {

constexpr int64_t kMaxLayers =
    1000; // far above any model; keeps a damaged number from building a list of billions of names

float finite(const JsonObject& json, const char* field, std::optional<double> fallback = {}) {
    const double v = json.number(field, fallback);
    require(std::isfinite(v) && std::abs(v) < 1e30, ErrorCode::corrupt, json.label(), ": field ", in_quotes(field),
        " is ", v, ", expected an ordinary number");
    return static_cast<float>(v);
}

float positive(const JsonObject& json, const char* field, std::optional<double> fallback = {}) {
    const float v = finite(json, field, fallback);
    require(v > 0, ErrorCode::corrupt, json.label(), ": field ", in_quotes(field), " is ", v,
        ", expected a number above 0");
    return v;
}

} // namespace

JsonObject open_config(const std::string& dir, const char* file, const char* class_name) {
    const JsonObject json = JsonObject::read((std::filesystem::path(dir) / file).string());
    json.expect("_class_name", class_name);
    return json;
}

int64_t layer_count(const JsonObject& json, const char* field, int64_t min, std::optional<int64_t> fallback) {
    const int64_t n = json.integer(field, min, fallback);
    require(n <= kMaxLayers, ErrorCode::corrupt, json.label(), ": field ", in_quotes(field), " is ", n,
        ", expected at most ", kMaxLayers);
    return n;
}

VaeConfig read_vae_config(const std::string& dir) {
    const JsonObject json = open_config(dir, "config.json", "AutoencoderKL");
    json.expect("act_fn", "silu");
    for (const auto& [field, type] :
        {std::pair{"down_block_types", "DownEncoderBlock2D"}, std::pair{"up_block_types", "UpDecoderBlock2D"}})
        for (const std::string& t : json.strings(field))
            require(t == type, ErrorCode::unsupported, json.label(), ": field ", in_quotes(field), " holds ",
                in_quotes(t), "; this engine supports ", type, " only");
    for (const char* field : {"latents_mean", "latents_std"})
        require(!json.has(field), ErrorCode::unsupported, json.label(), ": field ", in_quotes(field),
            " is set; the autoencoders that this engine decodes with have none");
    VaeConfig c;
    c.in_channels = json.integer("in_channels", 1);
    c.out_channels = json.integer("out_channels", 1);
    c.latent_channels = json.integer("latent_channels", 1);
    c.layers_per_block = layer_count(json, "layers_per_block", 1);
    c.norm_num_groups = json.integer("norm_num_groups", 1, 32);
    c.block_out_channels = json.integers("block_out_channels");
    const size_t blocks = c.block_out_channels.size();
    require(blocks >= 1 && blocks <= 16 && json.strings("down_block_types").size() == blocks &&
                json.strings("up_block_types").size() == blocks,
        ErrorCode::corrupt, json.label(),
        ": fields 'block_out_channels', 'down_block_types' and 'up_block_types' have different lengths");
    for (int64_t n : c.block_out_channels)
        require(n > 0 && n % c.norm_num_groups == 0, ErrorCode::corrupt, json.label(),
            ": field 'block_out_channels' holds ", n, ", which is not a multiple of norm_num_groups (",
            c.norm_num_groups, ")");
    c.scaling_factor = positive(json, "scaling_factor");
    c.shift_factor = finite(json, "shift_factor", 0.0);
    c.mid_attention = json.boolean("mid_block_add_attention", true);
    c.quant_conv = json.boolean("use_quant_conv", true);
    c.post_quant_conv = json.boolean("use_post_quant_conv", true);
    return c;
}

ClipConfig read_clip_config(const std::string& dir) {
    const JsonObject json = JsonObject::read((std::filesystem::path(dir) / "config.json").string());
    json.expect("model_type", "clip_text_model");
    ClipConfig c;
    c.hidden_size = json.integer("hidden_size", 1);
    c.intermediate_size = json.integer("intermediate_size", 1);
    c.num_layers = layer_count(json, "num_hidden_layers", 1);
    c.num_heads = json.integer("num_attention_heads", 1);
    c.max_positions = json.integer("max_position_embeddings", 1, 77);
    c.vocab_size = json.integer("vocab_size", 1, 49408);
    c.eos_token_id = json.integer("eos_token_id", 0, 2);
    c.layer_norm_eps = positive(json, "layer_norm_eps", 1e-5);
    c.hidden_act = json.string("hidden_act", "quick_gelu");
    require(c.hidden_act == "quick_gelu" || c.hidden_act == "gelu", ErrorCode::unsupported, json.label(),
        ": field 'hidden_act' is ", in_quotes(c.hidden_act), "; this engine supports quick_gelu and gelu");
    require(c.hidden_size % c.num_heads == 0, ErrorCode::corrupt, json.label(), ": field 'hidden_size' (",
        c.hidden_size, ") is not a multiple of num_attention_heads (", c.num_heads, ")");
    return c;
}

T5Config read_t5_config(const std::string& dir) {
    const JsonObject json = JsonObject::read((std::filesystem::path(dir) / "config.json").string());
    json.expect("model_type", "t5");
    require(json.string("feed_forward_proj") == "gated-gelu", ErrorCode::unsupported, json.label(),
        ": field 'feed_forward_proj' is ", in_quotes(json.string("feed_forward_proj")),
        "; this engine supports gated-gelu (T5 v1.1) only");
    T5Config c;
    c.d_model = json.integer("d_model", 1);
    c.d_kv = json.integer("d_kv", 1);
    c.d_ff = json.integer("d_ff", 1);
    c.num_layers = layer_count(json, "num_layers", 1);
    c.num_heads = json.integer("num_heads", 1);
    c.vocab_size = json.integer("vocab_size", 1);
    c.buckets = json.integer("relative_attention_num_buckets", 4, 32);
    c.max_distance = json.integer("relative_attention_max_distance", 2, 128);
    c.layer_norm_eps = positive(json, "layer_norm_epsilon", 1e-6);
    require(c.buckets % 4 == 0 && c.max_distance > c.buckets / 4, ErrorCode::corrupt, json.label(),
        ": fields 'relative_attention_num_buckets' (", c.buckets, ") and 'relative_attention_max_distance' (",
        c.max_distance, ") do not go together");
    return c;
}

SchedulerConfig read_scheduler_config(const std::string& dir) {
    const JsonObject json = open_config(dir, "scheduler_config.json", "FlowMatchEulerDiscreteScheduler");
    for (const char* field :
        {"use_karras_sigmas", "use_exponential_sigmas", "use_beta_sigmas", "invert_sigmas", "stochastic_sampling"})
        json.expect(field, false);
    json.expect("time_shift_type", "exponential");
    require(!json.has("shift_terminal"), ErrorCode::unsupported, json.label(),
        ": field 'shift_terminal' is set; this engine supports null only");
    SchedulerConfig c;
    c.num_train_timesteps = json.integer("num_train_timesteps", 1, 1000);
    c.base_image_seq_len = json.integer("base_image_seq_len", 1, 256);
    c.max_image_seq_len = json.integer("max_image_seq_len", c.base_image_seq_len + 1, 4096);
    c.shift = positive(json, "shift", 1.0);
    c.base_shift = finite(json, "base_shift", 0.5);
    c.max_shift = finite(json, "max_shift", 1.15);
    c.use_dynamic_shifting = json.boolean("use_dynamic_shifting", false);
    return c;
}

} // namespace atelier
