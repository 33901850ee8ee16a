// The settings of each component, from its config file as diffusers and transformers write it. Only what changes the
// arithmetic is kept; a value this engine does not implement is refused by file, field and value, never ignored.
#pragma once
#include "formats/json_file.h"
#include <optional>
#include <string>
#include <vector>

namespace atelier {

struct VaeConfig {
    int64_t in_channels = 3, out_channels = 3, latent_channels = 16, layers_per_block = 2, norm_num_groups = 32;
    std::vector<int64_t> block_out_channels;
    float scaling_factor = 0, shift_factor = 0;
    bool mid_attention = true, quant_conv = false, post_quant_conv = false;
    int64_t spatial_factor() const { return int64_t{1} << (block_out_channels.size() - 1); } // 8: pixels per latent row
};

struct ClipConfig {
    int64_t hidden_size = 0, intermediate_size = 0, num_layers = 0, num_heads = 0, max_positions = 0, vocab_size = 0,
            eos_token_id = 2;
    float layer_norm_eps = 1e-5f;
    std::string hidden_act; // quick_gelu or gelu
};

struct T5Config {
    int64_t d_model = 0, d_kv = 0, d_ff = 0, num_layers = 0, num_heads = 0, vocab_size = 0, buckets = 32,
            max_distance = 128;
    float layer_norm_eps = 1e-6f;
};

struct SchedulerConfig {
    int64_t num_train_timesteps = 1000, base_image_seq_len = 256, max_image_seq_len = 4096;
    float shift = 1, base_shift = 0.5f, max_shift = 1.15f;
    bool use_dynamic_shifting = false;
};

// For readers of a config, here and in models/: the file of a component's folder, of that `_class_name` if it says one;
// and a number of layers that a list of names can be built of.
JsonObject open_config(const std::string& dir, const char* file, const char* class_name);
int64_t layer_count(const JsonObject& json, const char* field, int64_t min, std::optional<int64_t> fallback = {});

// Each takes the component's folder.
VaeConfig read_vae_config(const std::string& dir);
ClipConfig read_clip_config(const std::string& dir);
T5Config read_t5_config(const std::string& dir);
SchedulerConfig read_scheduler_config(const std::string& dir);

} // namespace atelier
