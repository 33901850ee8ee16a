#pragma once
#include "atelier/adapter.h"
#include "atelier/plan.h"
#include "atelier/transformer.h"
#include <optional>

namespace atelier {

struct AdapterUse {
    const Adapter* adapter = nullptr;
    float weight = 1;
};

class Sampler {
public:
    // fused: adapters are merged into the base weights (dequantised, or the source weights where dir still has them,
    // added, re-quantised) in this sampler's own copy of the touched linears; otherwise they stay beside it and
    // switching is instant.
    Sampler(std::shared_ptr<Transformer>, const std::vector<AdapterUse>&, bool fused = false);
    ~Sampler();
    struct Request : SchedulerSettings {
        int64_t height = 0, width = 0; // pixels, divisible by 16
        int64_t steps = 28;
        float guidance = 3.5f;
        uint64_t seed = 0;
        std::span<const float> prompt_embeds; // (S_txt, joint_dim)
        std::span<const float> pooled;
        std::optional<std::span<const float>> latents; // (16, H/8, W/8) start noise, instead of the seed's
        uint64_t memory_budget =
            0; // bytes of a card (MemoryPlan::total_bytes); weights that do not fit are fetched. 0: what is free
        uint64_t decode_bytes =
            0; // Vae::decode_bytes: room that the plan leaves for what decodes the picture while the weights stay
    };
    MemoryPlan plan(const Request&) const;
    Tensor generate(const Request&,
        const EngineProgress& = {}); // packed latents (S_img, C), as diffusers' pipeline with output_type "latent"
    struct Impl;
private:
    std::unique_ptr<Impl> impl;
};

} // namespace atelier
