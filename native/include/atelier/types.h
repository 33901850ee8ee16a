// Plain data that the engine's classes take and give. The one header of this folder, beside error.h, option.h and
// train_options.h, that the lower rooms of src/ know too. Arrays are float32, row-major. Shapes in comments:
// S_img = (H/16)·(W/16) packed image tokens, C = in_channels (64).
#pragma once
#include "atelier/train_options.h"
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace atelier {

struct EngineProgress {
    std::function<void(double done, double total, const char* stage)>
        report; // may be empty; called on the working thread
    const std::atomic<bool>* cancelled = nullptr;
};

struct Tensor {
    std::vector<int64_t> shape;
    std::vector<float> data;
};
using TensorMap = std::map<std::string, Tensor>;

// A joint transformer's sizes, as its config.json states them; by default FLUX.1-dev's.
struct TransformerDims {
    int64_t in_channels = 64, out_channels = 64, num_layers = 19, num_single_layers = 38, heads = 24, head_dim = 128;
    int64_t joint_dim = 4096, pooled_dim = 768;
    bool guidance = true;
    int64_t axes_dims[3] = {16, 56, 56};
};

struct LinearModule { // every nn.Linear of the transformer, by diffusers' module path
    std::string path;
    int64_t in = 0, out = 0;
};

// LoRA weights of one linear: its output grows by (alpha / rank) · b · a · x.
struct LoraModule {
    int64_t rank = 0, in = 0, out = 0;
    float alpha = 0;
    std::vector<float> a, b; // (rank, in), (out, rank)
};

// By diffusers' module path ("transformer_blocks.0.attn.to_q").
struct AdapterWeights {
    std::map<std::string, LoraModule> modules;
    std::map<std::string, std::string> metadata;
};

// What an adapter's file holds, without its weights.
struct AdapterContents {
    struct Module {
        std::string path; // diffusers'
        int64_t rank = 0, in = 0, out = 0;
        float alpha = 0;
    };
    std::vector<Module> modules;
    std::vector<std::string> notes; // what is not applied or was assumed, a sentence a kind
    std::map<std::string, std::string> metadata;
};

// How an adapter's file spells its keys, as AdapterFormat of proto/ has it: as diffusers and peft do, or as kohya's
// scripts and ComfyUI do.
enum class AdapterFormat { diffusers = 1, kohya = 2 };
inline constexpr EnumName<AdapterFormat> kAdapterFormatNames[] = {
    {AdapterFormat::diffusers, "diffusers"},
    {AdapterFormat::kohya, "kohya"},
};
constexpr std::span<const EnumName<AdapterFormat>> names_of(AdapterFormat) { return kAdapterFormatNames; }

// Of a checkpoint's scheduler_config.json.
struct SchedulerSettings {
    bool dynamic_shifting = true;
    float shift = 3, base_shift = 0.5f, max_shift = 1.15f;
    int64_t base_seq_len = 256, max_seq_len = 4096, num_train_timesteps = 1000;
};

} // namespace atelier
