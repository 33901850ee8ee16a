#pragma once
#include "atelier/adapter.h"
#include "atelier/plan.h"
#include "atelier/transformer.h"
#include <optional>

namespace atelier {

class Trainer {
public:
    // shapes: every (grid_h, grid_w) the data set has; text_tokens: T5 length. The arena serves the largest.
    using Shape = TrainShape;
    static MemoryPlan plan(const Transformer&, const TrainOptions&, const std::vector<Shape>&);
    Trainer(std::shared_ptr<Transformer>, const TrainOptions&, const std::vector<Shape>&);
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

    // The sample's plain loss (mean squared error, whatever training weights it by) at `pairs` noise levels, one from
    // each of so many equal bands of timesteps, with a noise and a posterior's draw each: all decided by (seed,
    // sample_id, pair), so that only the adapter changes the numbers. Forward alone, within the plan; nothing of the
    // run changes.
    std::vector<MicroResult> score(const Sample&, int64_t pairs, const EngineProgress& = {});

    Adapter adapter() const;
    Adapter average() const; // exponential moving average over the steps; invalid_argument without ema_decay
    int64_t step() const;
    // Everything that resumes the run bit for bit: LoRA weights, optimizer states, step and micro-step counters. A
    // safetensors file in memory.
    std::vector<std::byte> save_state() const;
    void load_state(std::span<const std::byte>);
    struct Impl;
    std::unique_ptr<Impl> impl;
};

} // namespace atelier
