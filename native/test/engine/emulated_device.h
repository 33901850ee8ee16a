// The emulated card as a device that models are loaded on.
#pragma once
#include "engine/device.h"
#include "support.h"
#include "ops/emulated_cuda.h"

namespace atelier::test {

// host_copy: bytes/ms that plans count fetches with; 0: they keep all weights on the card.
inline std::shared_ptr<Device> emulated_card(const Emulated& kind, double host_copy = 0) {
    auto impl = std::make_unique<Device::Impl>();
    impl->ops = make_emulated_cuda_ops(kind);
    impl->description = impl->ops->name();
    impl->profile.host_copy = host_copy;
    return Device::of(std::move(impl));
}

// A sample with drawn values, which it owns: valid where it stands. Another `id`, other values.
struct DrawnSample {
    std::vector<float> mean, logvar, prompt, pooled;
    Trainer::Sample sample;

    DrawnSample(const TransformerDims& dims, const Trainer::Shape& shape, unsigned id)
        : mean(drawn(shape.grid_h * shape.grid_w * dims.in_channels, 10 + id)),
          logvar(drawn(static_cast<int64_t>(mean.size()), 20 + id, 0.1f)),
          prompt(drawn(shape.text_tokens * dims.joint_dim, 30 + id)), pooled(drawn(dims.pooled_dim, 40 + id)) {
        sample.mean = mean;
        sample.logvar = logvar;
        sample.shape = shape;
        sample.prompt_embeds = prompt;
        sample.pooled = pooled;
        sample.sample_id = id;
    }
    DrawnSample(const DrawnSample&) = delete;
    DrawnSample& operator=(const DrawnSample&) = delete;
};

} // namespace atelier::test
