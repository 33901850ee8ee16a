#include "atelier/sampler.h"
#include "base/error.h"
#include "base/philox.h"
#include "engine/one_shot.h"
#include "engine/transformer.h"
#include "sampling/adapted_layers.h"
#include "sampling/denoise_programs.h"
#include "sampling/sigmas.h"
#include <cmath>
#include <memory>

namespace atelier {
namespace {

constexpr int64_t kPixelsPerToken = 16; // 8 of the VAE times the 2 of a patch

TransformerShape shape_of(const Sampler::Request& r, const TransformerDims& dims) {
    require(r.height > 0 && r.width > 0 && r.height % kPixelsPerToken == 0 && r.width % kPixelsPerToken == 0,
        ErrorCode::invalid_argument, "a picture of ", r.width, "x", r.height,
        " pixels: width and height must be positive multiples of ", kPixelsPerToken);
    require(!r.prompt_embeds.empty() && static_cast<int64_t>(r.prompt_embeds.size()) % dims.joint_dim == 0,
        ErrorCode::invalid_argument, "prompt_embeds has ", r.prompt_embeds.size(), " values, expected rows of ",
        dims.joint_dim);
    const TransformerShape shape{r.height / kPixelsPerToken, r.width / kPixelsPerToken,
        static_cast<int64_t>(r.prompt_embeds.size()) / dims.joint_dim};
    check_shape(shape);
    return shape;
}

bool same(const TransformerShape& a, const TransformerShape& b) {
    return a.grid_h == b.grid_h && a.grid_w == b.grid_w && a.text_tokens == b.text_tokens;
}

} // namespace

struct Sampler::Impl {
    std::shared_ptr<Transformer> model;
    AdaptedLayers adapted;
    std::unique_ptr<DenoisePrograms> programs; // of the shape and step count last asked for
    std::shared_ptr<const PlacedUnits> weights; // that `programs` were connected to

    Transformer::Impl& base() const { return *model->impl; }

    DenoisePrograms& programs_for(const Request& r) {
        const TransformerShape shape = shape_of(r, base().dims());
        require(r.steps > 0 && r.steps <= 10000, ErrorCode::invalid_argument, r.steps, " steps: expected 1 to 10000");
        if (!programs || !same(programs->shape(), shape) || programs->steps() != r.steps) {
            programs = std::make_unique<DenoisePrograms>(adapted.layers(), shape, r.steps, base().ops().activations());
            weights.reset();
        }
        return *programs;
    }

    MemoryPlan plan(const Request& r) {
        const DenoisePrograms& p = programs_for(r);
        MemoryPlan plan;
        plan.arena_bytes = std::max(p.bytes(), r.decode_bytes);
        plan.state_bytes = adapted.bytes() + p.host_bytes();
        plan.workspace_bytes = base().ops().workspace_bytes();
        plan.context_bytes = base().device->impl->profile.context_bytes;
        plan.weight_bytes = PlacedUnits::device_bytes(base().packs, residence(r));
        return plan;
    }

    // Which weights stay on the device: with a budget, of what it leaves beside what is reserved already.
    std::vector<Residence> residence(const Request& r) const {
        const uint64_t reserved =
            base().ops().workspace_bytes() + base().device->impl->profile.context_bytes + adapted.bytes();
        const uint64_t left = r.memory_budget - std::min(r.memory_budget, reserved);
        const uint64_t arena =
            std::max(programs->bytes(), r.decode_bytes); // one is given back before the other is reserved
        return base().residence_beside(
            arena + programs->host_bytes(), r.memory_budget ? std::max<uint64_t>(left, 1) : 0); // 0: no budget
    }

    void connect(const Request& r) {
        const auto placed = base().place(residence(r));
        if (placed == weights) return;
        weights = placed;
        programs->connect(base().memory(), *weights, adapted.constants());
    }

    // Start noise (C/4, H/8, W/8), given or drawn, as packed tokens (I, C).
    Tensor start_latents(const Request& r, const TransformerShape& shape) const {
        const int64_t channels = base().dims().in_channels, height = 2 * shape.grid_h, width = 2 * shape.grid_w,
                      count = shape.image_tokens() * channels;
        std::vector<float> drawn;
        if (r.latents) {
            check_input(*r.latents, count, "latents");
        } else {
            drawn.resize(static_cast<size_t>(count));
            PhiloxStream(r.seed, RandomUse::start_latents, 0).normal(0, drawn);
        }
        const std::span<const float> noise = r.latents ? *r.latents : std::span<const float>(drawn);
        Tensor packed{{shape.image_tokens(), channels}, std::vector<float>(static_cast<size_t>(count))};
        for (int64_t token = 0; token < shape.image_tokens(); ++token)
            for (int64_t k = 0; k < channels; ++k) {
                const int64_t y = token / shape.grid_w * 2 + k % 4 / 2, x = token % shape.grid_w * 2 + k % 2;
                packed.data[static_cast<size_t>(token * channels + k)] =
                    noise[static_cast<size_t>((k / 4 * height + y) * width + x)];
            }
        return packed;
    }
};

Sampler::Sampler(std::shared_ptr<Transformer> model, const std::vector<AdapterUse>& adapters, bool fused) {
    const TransformerDims& dims = model->dims();
    require(dims.in_channels == dims.out_channels && dims.in_channels % 4 == 0, ErrorCode::unsupported,
        "a transformer of ", dims.in_channels, " input and ", dims.out_channels,
        " output channels: only text-to-image transformers draw, whose packed latents go in and come out");
    std::vector<WeightedAdapter> weighted;
    for (const AdapterUse& use : adapters) {
        if (use.adapter) use.adapter->validate(*model);
        weighted.push_back({use.adapter, use.weight});
    }
    AdaptedLayers adapted(model->impl->weights, weighted, fused, model->impl->memory());
    impl.reset(new Impl{std::move(model), std::move(adapted), nullptr, nullptr});
}

Sampler::~Sampler() = default;

MemoryPlan Sampler::plan(const Request& request) const { return impl->plan(request); }

Tensor Sampler::generate(const Request& request, const EngineProgress& progress) {
    DenoisePrograms& programs = impl->programs_for(request);
    check_input(request.pooled, impl->base().dims().pooled_dim, "pooled");
    check_input(request.prompt_embeds, programs.shape().text_tokens * impl->base().dims().joint_dim, "prompt_embeds");
    require(std::isfinite(request.guidance), ErrorCode::invalid_argument, "guidance ", request.guidance,
        ": expected a finite number");
    const SigmaSchedule schedule = inference_sigmas(request.steps, programs.shape().image_tokens(), request);
    Tensor packed = impl->start_latents(request, programs.shape());

    DenoisePrograms::Input input;
    input.prompt_embeds = request.prompt_embeds;
    input.pooled = request.pooled;
    input.sigmas = schedule.sigmas;
    input.guidance = request.guidance;
    impl->connect(request);
    // Reserved for this picture only: memory held between pictures would be memory that a trainer lacks.
    const Arena memory(impl->base().memory(), programs.bytes());
    const std::lock_guard lock(impl->base().device->impl->busy);
    programs.run(impl->base().ops(), memory.data(), input, packed.data, internal_progress(progress));
    for (const float v : packed.data)
        require(std::isfinite(v), ErrorCode::internal,
            "the picture's latents are not finite; an adapter or guidance may be out of range for this model");
    return packed;
}

} // namespace atelier
