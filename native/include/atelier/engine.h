// The engine's public face: everything the Node addon, the tests of whole models and the benchmarks may include.
// Objects hide their insides (src/engine implements them); every call blocks, is not reentrant on one object, and
// throws atelier::Error. Arrays are float32, row-major. Shapes in comments: S_img = (H/16)·(W/16) packed image tokens,
// C = in_channels (64).
#pragma once
#include "atelier/error.h"
#include "atelier/train_options.h"
#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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

// A machine to compute on, shared by the models loaded on it.
class Device {
public:
    // isa: "auto", "portable", "avx2", "avx512"; threads 0 = all cores.
    static std::shared_ptr<Device> cpu(int threads = 0, const std::string& isa = "auto");
    // A card, by CUDA's number. fp8: linears of NF4 weights multiply in e4m3, for speed; needs compute capability 8.9.
    // unsupported, with the reason and what to do, where it cannot be used.
    static std::shared_ptr<Device> cuda(int index = 0, bool fp8 = false);
    // "cpu"; "cuda" or "cuda:N", either followed by ",fp8" if wanted; or "auto": the first card that can be used,
    // without fp8, else the CPU. threads and isa apply to the CPU. For any other text invalid_argument, which lists
    // these forms.
    static std::shared_ptr<Device> open(const std::string& which, int threads = 0, const std::string& isa = "auto");
    ~Device();
    std::string description() const; // "cpu avx2, 2 threads"; "cuda: NVIDIA GeForce RTX 4090, 24 GB", with ", fp8
                                     // products" at its end where those are on
    struct Impl;
    static std::shared_ptr<Device> of(std::unique_ptr<Impl>); // for whoever brings another backend
    std::unique_ptr<Impl> impl;
private:
    Device();
};

struct CudaCard {
    std::string name; // "NVIDIA GeForce RTX 4090, 24 GB"
    uint64_t bytes = 0; // of memory, in all
    // What every process that computes on it takes of that beside its models, as plans count it.
    uint64_t context_bytes = 0; // the driver's
    uint64_t workspace_bytes = 0; // the engine's
};
// Those that CUDA sees, by number. Empty without a driver, a card, or CUDA in this build.
std::vector<CudaCard> cuda_cards();

// What opening a device would give, without opening it: nothing is taken on a card.
struct DeviceOutlook {
    std::string build; // what of CUDA is in this engine: "CUDA 13.0 for 8.0, 8.9", or "no CUDA"
    int card = -1; // CUDA's number; -1: the CPU
    std::string description; // "cuda: NVIDIA GeForce RTX 4090, 24 GB"; "cpu"
    uint64_t bytes = 0; // of the card's memory
    std::string refusal; // of a named card: why it cannot be had. of auto: why none is taken. empty: it can be
};
// `which` as Device::open takes it; invalid_argument for anything else.
DeviceOutlook device_outlook(const std::string& which);

struct FluxDims {
    int64_t in_channels = 64, out_channels = 64, num_layers = 19, num_single_layers = 38, heads = 24, head_dim = 128;
    int64_t joint_dim = 4096, pooled_dim = 768;
    bool guidance = true;
    int64_t axes_dims[3] = {16, 56, 56};
};

struct LinearModule { // every nn.Linear of the transformer, by diffusers' module path
    std::string path;
    int64_t in = 0, out = 0;
};

// FluxTransformer2DModel with frozen weights. Loaded once, shared by trainers and samplers.
class FluxTransformer {
public:
    // dir: the `transformer` folder. cache_dir: where a quantised copy is kept by fingerprint and mapped from ("" = no
    // cache).
    static std::shared_ptr<FluxTransformer> load(std::shared_ptr<Device>, const std::string& dir, BaseQuant,
        const std::string& cache_dir = "", const EngineProgress& = {});
    // N(0, 0.02) weights, quantised as they are drawn: benchmarks and full-size checks.
    static std::shared_ptr<FluxTransformer> random(
        std::shared_ptr<Device>, const FluxDims&, BaseQuant, uint64_t seed, const EngineProgress& = {});
    ~FluxTransformer();
    const FluxDims& dims() const;
    const std::vector<LinearModule>& modules() const;
    uint64_t weight_bytes() const;

    struct ForwardInput {
        std::span<const float> latents; // (S_img, C) packed
        int64_t grid_h = 0, grid_w = 0; // S_img = grid_h * grid_w
        float sigma = 1; // timestep / 1000
        float guidance = 1; // ignored by models without guidance embedding
        std::span<const float> prompt_embeds; // (S_txt, joint_dim)
        std::span<const float> pooled; // (pooled_dim)
        bool capture_blocks = false; // also every block's output, by the names of the goldens
    };
    // "out" (S_img, C); with capture_blocks also "block_double_<i>_txt", "block_double_<i>_img", "block_single_<i>"
    // (S_txt+S_img, d)
    TensorMap forward(const ForwardInput&);
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    FluxTransformer();
};

// LoRA weights on the host, by diffusers' module path ("transformer_blocks.0.attn.to_q").
class Adapter {
public:
    struct Module {
        int64_t rank = 0, in = 0, out = 0;
        float alpha = 0;
        std::vector<float> a, b; // (rank, in), (out, rank)
    };
    std::map<std::string, Module> modules;
    std::map<std::string, std::string> metadata;

    static Adapter load(const std::string& file); // diffusers, peft or kohya keys, told apart by their names
    void save_diffusers(const std::string& file) const;
    void save_kohya(const std::string& file) const;
    void validate(const FluxTransformer&) const; // every module exists with these shapes, finite; else Error
};

struct TrainOptions : DeclaredTrainOptions {
    // Bytes to plan within (MemoryPlan::total_bytes); what is spare goes into speed, and recompute is not read. 0: a
    // card's free ones; on the CPU none, and recompute decides.
    uint64_t memory_budget = 0;
    // From vae/config.json and scheduler/scheduler_config.json
    float vae_scaling = 0.3611f, vae_shift = 0.1159f;
    bool dynamic_shifting = true;
    float shift = 3.0f;
    int64_t num_train_timesteps = 1000;
};

struct MemoryPlan {
    uint64_t arena_bytes = 0; // activations and scratch of the largest program; reserved once, never grown
    uint64_t weight_bytes = 0; // frozen weights on the device
    uint64_t state_bytes = 0; // LoRA weights, gradients, optimizer states
    uint64_t workspace_bytes = 0; // the backend's own
    uint64_t context_bytes = 0; // a card's driver
    uint64_t parked_bytes =
        0; // page-locked memory of the host for what is parked there; not of the device and not in the total
    uint64_t total_bytes() const { return arena_bytes + weight_bytes + state_bytes + workspace_bytes + context_bytes; }

    // What training spends it on. Blocks are double and single ones together; all zero in a sampler's plan.
    struct Choice {
        int64_t keep_input = 0, keep_attention = 0, keep_all = 0; // blocks by what they keep for backward
        int64_t parked = 0; // of the last two, those whose kept tensors wait in host memory
        int64_t resident = 0; // blocks whose weights stay on the device; the others' are fetched for each use
        bool modulation_resident = true;
        int64_t widened = 0; // of the resident blocks: NF4 weights are kept as the bf16 that products take
        int64_t together = 0; // samples of one shape that pass the blocks at once in micro_steps; what is fetched is
                              // fetched once for all of them
    } choice;
    // A micro-step of the largest shape by the rates of a card's profile: a model, never measured. All zero on the CPU.
    struct Time {
        double total_ms = 0; // the longest of computing, fetching and parking in each direction
        double forward_ms = 0, backward_ms = 0, again_ms = 0; // computing; again: of backward, what was not kept
        double forward_fetch_ms = 0, backward_fetch_ms = 0; // backward's with what was parked
        double park_ms = 0; // in forward
    } time;
};

class Trainer {
public:
    // shapes: every (grid_h, grid_w) the data set has; text_tokens: T5 length. The arena serves the largest.
    struct Shape {
        int64_t grid_h = 0, grid_w = 0, text_tokens = 0;
    };
    static MemoryPlan plan(const FluxTransformer&, const TrainOptions&, const std::vector<Shape>&);
    Trainer(std::shared_ptr<FluxTransformer>, const TrainOptions&, const std::vector<Shape>&);
    ~Trainer();
    MemoryPlan memory_plan() const;
    uint64_t arena_high_water()
        const; // bytes of the arena that runs so far have touched at most; equals the plan after one step

    struct Sample {
        std::span<const float> mean, logvar; // (16, H/8, W/8) posterior
        Shape shape;
        std::span<const float> prompt_embeds; // (S_txt, joint_dim)
        std::span<const float> pooled; // (pooled_dim)
        uint64_t sample_id = 0; // keys the random numbers together with seed and micro-step index
        // Given instead of drawn (goldens):
        std::optional<std::span<const float>> eps, noise; // (16, H/8, W/8): posterior's eps, flow noise
        std::optional<int64_t> timestep_index; // 0 … num_train_timesteps-1
    };
    struct MicroResult {
        double loss = 0;
        float sigma = 0;
        int64_t timestep_index = 0;
    };
    // Each accumulates gradients of its loss / accumulation. In runs of up to MemoryPlan::Choice::together neighbours
    // of one shape, with the bits of one by one; best given as many. Cancelled or failed, only load_state goes on.
    std::vector<MicroResult> micro_steps(std::span<const Sample>, const EngineProgress& = {});
    MicroResult micro_step(const Sample& sample, const EngineProgress& progress = {}) {
        return micro_steps({&sample, 1}, progress).front();
    }
    struct StepResult {
        int64_t step = 0;
        double grad_norm = 0;
        double lr = 0;
    }; // grad_norm: before clipping
    StepResult optimizer_step();

    TensorMap gradients() const; // "<path>.lora_A" / "<path>.lora_B"
    Tensor last_prediction() const; // (S_img, C) of the last sample
    Adapter adapter() const;
    void set_adapter(const Adapter&); // start weights
    int64_t step() const;
    // Everything that resumes the run bit for bit: LoRA weights, optimizer states, step and micro-step counters. A
    // safetensors file in memory.
    std::vector<std::byte> save_state() const;
    void load_state(std::span<const std::byte>);
    struct Impl;
private:
    std::unique_ptr<Impl> impl;
};

// What a run would take on a card that need not be here, and how long a micro-step would: from sizes alone, without
// weights.
struct CardRun {
    FluxDims dims;
    BaseQuant quant = BaseQuant::nf4;
    TrainOptions options; // memory_budget: the card's; 0: as much as options.recompute asks for
    std::vector<Trainer::Shape> shapes;
    std::string card = "4090";
    uint64_t host_bytes =
        uint64_t{16}
        << 30; // page-locked memory that fetched weights and parked tensors may take: half of a common machine's
};
MemoryPlan plan_on_card(const CardRun&); // resource_exhausted names the smallest budget that works
std::vector<std::string> card_names();
FluxDims transformer_dims(const std::string& dir); // of a checkpoint's transformer, from its config.json alone

struct AdapterUse {
    const Adapter* adapter = nullptr;
    float weight = 1;
};

class Sampler {
public:
    // fused: adapters are merged into the base weights (dequantised, or the source weights where dir still has them,
    // added, re-quantised) in this sampler's own copy of the touched linears; otherwise they stay beside it and
    // switching is instant.
    Sampler(std::shared_ptr<FluxTransformer>, const std::vector<AdapterUse>&, bool fused = false);
    ~Sampler();
    struct Request {
        int64_t height = 0, width = 0; // pixels, divisible by 16
        int64_t steps = 28;
        float guidance = 3.5f;
        uint64_t seed = 0;
        std::span<const float> prompt_embeds; // (S_txt, joint_dim)
        std::span<const float> pooled;
        std::optional<std::span<const float>> latents; // (16, H/8, W/8) start noise, instead of the seed's
        // scheduler_config.json
        bool dynamic_shifting = true;
        float shift = 3, base_shift = 0.5f, max_shift = 1.15f;
        int64_t base_seq_len = 256, max_seq_len = 4096, num_train_timesteps = 1000;
        uint64_t memory_budget =
            0; // bytes of a card (MemoryPlan::total_bytes); weights that do not fit are fetched. 0: what is free
        uint64_t decode_bytes =
            0; // Vae::decode_bytes: room that the plan leaves for what decodes the picture while the weights stay
    };
    MemoryPlan plan(const Request&) const;
    Tensor generate(
        const Request&, const EngineProgress& = {}); // packed latents (S_img, C), as FluxPipeline(output_type="latent")
    struct Impl;
private:
    std::unique_ptr<Impl> impl;
};

class Vae {
public:
    static std::shared_ptr<Vae> load(std::shared_ptr<Device>, const std::string& dir, const EngineProgress& = {});
    ~Vae();
    struct Posterior {
        Tensor mean, logvar;
    }; // (16, H/8, W/8)
    Posterior encode(std::span<const float> image, int64_t height, int64_t width); // (3, H, W) in -1..1
    Tensor decode(std::span<const float> latents, int64_t h,
        int64_t w); // (16, h, w), already divided by scaling and shifted -> (3, 8h, 8w)
    Tensor decode_packed(
        const Tensor& packed, int64_t height, int64_t width); // (S_img, 64) from the sampler -> (3, H, W)
    float scaling_factor() const;
    float shift_factor() const;
    // Bytes of the device: the weights', from the first use on, and beside them, while it is encoded or decoded, those
    // of a picture of height x width pixels.
    uint64_t weight_bytes() const;
    uint64_t encode_bytes(int64_t height, int64_t width) const;
    uint64_t decode_bytes(int64_t height, int64_t width) const;
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    Vae();
};

class ClipText {
public:
    static std::shared_ptr<ClipText> load(std::shared_ptr<Device>, const std::string& dir, const EngineProgress& = {});
    ~ClipText();
    struct Output {
        Tensor pooled, last_hidden_state;
    }; // (d), (S, d)
    Output encode(std::span<const int32_t> ids);
    // Bytes of the device: the weights', from the first use on, and beside them, while it is encoded, those of a text
    // of so many tokens.
    uint64_t weight_bytes() const;
    uint64_t encode_bytes(int64_t tokens) const;
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    ClipText();
};

class T5Text {
public:
    // memory_budget: bytes of a card that it may take; layers that do not fit are fetched for each pass. 0: what is
    // free at the first caption.
    static std::shared_ptr<T5Text> load(
        std::shared_ptr<Device>, const std::string& dir, const EngineProgress& = {}, uint64_t memory_budget = 0);
    ~T5Text();
    // The ids of any number of captions -> (S, d) of each, the same bits whatever stands beside it. Neighbours of one
    // length share a pass over layers that are fetched, as many as the memory holds, 16 at most. Progress is reported
    // after each pass. invalid_argument names a bad caption's place.
    std::vector<Tensor> encode(std::span<const std::vector<int32_t>> captions, const EngineProgress& = {});
    // Bytes of the device where all layers fit there: the weights', from the first use on, and beside them, while it is
    // encoded, those of a caption of so many tokens. Where they do not fit, memory_budget bounds both.
    uint64_t weight_bytes() const;
    uint64_t encode_bytes(int64_t tokens) const;
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    T5Text();
};

// Pieces that the goldens check alone.
struct Nf4Tensor {
    std::vector<uint8_t> packed;
    std::vector<float> absmax;
    std::vector<uint8_t> absmax8;
    std::vector<float> nested_absmax;
    float nested_offset = 0;
};
Nf4Tensor nf4_quantize(std::span<const float> values, bool double_quant);
std::vector<float> nf4_dequantize(const Nf4Tensor&, int64_t count);
std::vector<float> dynamic_map(bool is_signed); // 256
std::vector<float> nf4_code(); // 16
// factor per step, total entries
std::vector<double> lr_schedule(LrScheduleKind kind, int64_t warmup, int64_t total, double cycles, double power);
double loss_weight(Weighting weighting, double sigma);
struct SigmaSchedule {
    std::vector<float> sigmas;
    double mu = 0;
}; // steps + 1, last 0
SigmaSchedule inference_sigmas(int64_t steps, int64_t image_tokens, const Sampler::Request& scheduler);
// A stand-alone optimizer over one tensor (goldens of optim.safetensors).
class Optimizer {
public:
    Optimizer(
        OptimizerKind kind, int64_t count, double lr, double beta1, double beta2, double eps, double weight_decay);
    ~Optimizer();
    void step(std::span<float> param, std::span<const float> grad);
    TensorMap states() const; // f32 states: "exp_avg", "exp_avg_sq" / "state1", "state2", "absmax1", "absmax2"
    std::map<std::string, std::vector<uint8_t>> codes() const; // 8-bit states: "state1", "state2"
    struct Impl;
private:
    std::unique_ptr<Impl> impl;
};
// y = x · Wᵀ + b with a linear as bitsandbytes stores it pre-quantised: tensors `prefix`.weight, .bias, .weight.absmax,
// …
Tensor prequantized_linear(Device&, const std::string& file, const std::string& prefix, const Tensor& x);
// File checks for `atelier model inspect`: per component the tensors, bytes and dtype; throws what load would throw.
struct ComponentReport {
    std::string component;
    int64_t tensors = 0;
    uint64_t bytes = 0;
    std::string dtype;
    std::string details;
};
std::vector<ComponentReport> inspect_checkpoint(const std::string& dir);

} // namespace atelier
