// What only tests, benchmarks and the parity suite ask of the engine: whole passes of a transformer, what a trainer
// holds inside, and single pieces of the arithmetic. The library atelier_testing has it, and the addon
// atelier_testing.node; nothing that ships links either.
#pragma once
#include "atelier/engine.h"

namespace atelier::testing {

// N(0, 0.02) weights, quantised as they are drawn.
std::shared_ptr<Transformer> random_transformer(
    std::shared_ptr<Device>, const TransformerDims&, BaseQuant, uint64_t seed, const EngineProgress& = {});

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
TensorMap forward(Transformer&, const ForwardInput&);

TensorMap gradients(const Trainer&); // "<path>.lora_A" / "<path>.lora_B"
Tensor last_prediction(const Trainer&); // (S_img, C) of the last sample
void set_adapter(const Trainer&, const Adapter&); // start weights

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
    std::vector<float> sigmas; // steps + 1, last 0
    double mu = 0;
};
SigmaSchedule inference_sigmas(int64_t steps, int64_t image_tokens, const SchedulerSettings& scheduler);

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

} // namespace atelier::testing
