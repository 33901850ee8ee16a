// Pictures (as packed latents) against FluxPipeline's, and the sampler's promises.
#include "atelier/engine.h"
#include "goldens.h"
#include <atomic>
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr double kTolerance = 1e-3; // of a picture: errors of a forward, four steps on

struct Pipeline {
    GoldenFile file{"inference.safetensors"};
    Golden latents = file["latents"], prompt = file["prompt_embeds"], pooled = file["pooled"];
    nlohmann::json scheduler = fixture_json("model/scheduler/scheduler_config.json");

    std::shared_ptr<Transformer> load(BaseQuant quant) const {
        return Transformer::load(Device::cpu(2), fixtures_dir() + "/model/transformer", quant);
    }
    Adapter adapter(const std::string& name) const {
        return Adapter::load(fixtures_dir() + "/" + name + "/pytorch_lora_weights.safetensors");
    }

    Sampler::Request request() const {
        Sampler::Request r;
        r.height = latents.shape[2] * 8;
        r.width = latents.shape[3] * 8;
        r.steps = 4;
        r.guidance = 3.5f;
        r.prompt_embeds = prompt.data;
        r.pooled = pooled.data;
        r.latents = latents.data;
        r.dynamic_shifting = scheduler["use_dynamic_shifting"];
        r.shift = scheduler["shift"];
        return r;
    }

    double error(const std::string& name, Sampler&& sampler) const {
        return report(name, sampler.generate(request()).data, file[name + "_latents"].data);
    }
};

} // namespace

TEST_CASE("pictures: base, NF4 base, one adapter, two weighted, one fused") {
    const Pipeline p;
    const Adapter a = p.adapter("lora_a"), b = p.adapter("lora_adamw");
    CHECK(p.error("base", Sampler(p.load(BaseQuant::none), {})) < kTolerance);
    CHECK(p.error("base_nf4", Sampler(p.load(BaseQuant::nf4), {})) < kTolerance);
    CHECK(p.error("lora_a", Sampler(p.load(BaseQuant::none), {{&a, 1.0f}})) < kTolerance);
    CHECK(p.error("lora_a_nf4", Sampler(p.load(BaseQuant::nf4), {{&a, 1.0f}})) < kTolerance);
    CHECK(p.error("lora_two", Sampler(p.load(BaseQuant::none), {{&a, 0.7f}, {&b, -0.4f}})) < kTolerance);
    CHECK(p.error("lora_fused", Sampler(p.load(BaseQuant::none), {{&a, 1.0f}}, true)) < kTolerance);
}

TEST_CASE("adapters: weight zero is the base, fused is beside") {
    const Pipeline p;
    const Adapter a = p.adapter("lora_a");
    const auto model = p.load(BaseQuant::none);
    const Tensor base = Sampler(model, {}).generate(p.request());
    CHECK(Sampler(model, {{&a, 0.0f}}).generate(p.request()).data == base.data);
    const Tensor beside = Sampler(model, {{&a, 1.0f}}).generate(p.request()),
                 fused = Sampler(model, {{&a, 1.0f}}, true).generate(p.request());
    CHECK(relative_error(fused.data, beside.data) < 1e-4);
    CHECK(relative_error(base.data, beside.data) > 1e-3); // or there would be nothing to compare
}

TEST_CASE("fused over NF4: quantised again from the source's values, so as near to the unquantised picture as NF4 is") {
    const Pipeline p;
    const Adapter a = p.adapter("lora_a");
    const auto exact = p.load(BaseQuant::none), narrow = p.load(BaseQuant::nf4);
    const Tensor wanted = Sampler(exact, {{&a, 1.0f}}).generate(p.request());
    const double beside = relative_error(Sampler(narrow, {{&a, 1.0f}}).generate(p.request()).data, wanted.data);
    const double fused = relative_error(Sampler(narrow, {{&a, 1.0f}}, true).generate(p.request()).data, wanted.data);
    CHECK(fused > 0);
    CHECK(fused < 2 * beside);
}

TEST_CASE("seeds: the same seed draws the same picture, another another, and one sampler serves several sizes") {
    const Pipeline p;
    Sampler sampler(p.load(BaseQuant::nf4), {});
    Sampler::Request r = p.request();
    r.latents.reset();
    r.seed = 5;
    const Tensor first = sampler.generate(r);
    r.seed = 6;
    CHECK(sampler.generate(r).data != first.data);
    Sampler::Request small = r;
    small.height = 32;
    small.width = 48;
    small.steps = 2;
    CHECK(sampler.generate(small).shape == std::vector<int64_t>{6, 64});
    r.seed = 5;
    CHECK(sampler.generate(r).data == first.data);
}

TEST_CASE("misuse: sizes, inputs, adapters of another model, cancellation") {
    const Pipeline p;
    const auto model = p.load(BaseQuant::nf4);
    Sampler sampler(model, {});
    const auto refused = [&](const char* text, auto&& change) {
        Sampler::Request r = p.request();
        change(r);
        CHECK_THROWS_WITH_AS(sampler.generate(r), doctest::Contains(text), Error);
    };
    refused("multiples of 16", [](Sampler::Request& r) { r.width += 8; });
    refused("steps", [](Sampler::Request& r) { r.steps = 0; });
    refused("latents has", [](Sampler::Request& r) { r.height += 16; });
    refused("prompt_embeds has",
        [](Sampler::Request& r) { r.prompt_embeds = r.prompt_embeds.first(r.prompt_embeds.size() - 1); });
    refused("pooled has", [](Sampler::Request& r) { r.pooled = r.pooled.first(1); });
    refused("guidance", [](Sampler::Request& r) { r.guidance = NAN; });

    Adapter foreign;
    foreign.modules["transformer_blocks.99.attn.to_q"] = {1, 2, 2, 1, {1, 1}, {1, 1}};
    CHECK_THROWS_WITH_AS(Sampler(model, {{&foreign, 1.0f}}), doctest::Contains("another model"), Error);
    Adapter a = p.adapter("lora_a");
    a.modules.begin()->second.a[0] = NAN;
    CHECK_THROWS_WITH_AS(Sampler(model, {{&a, 1.0f}}), doctest::Contains("NaN"), Error);

    std::atomic<bool> cancelled{false};
    EngineProgress progress;
    progress.cancelled = &cancelled;
    progress.report = [&](double done, double, const char*) { cancelled = done >= 1; };
    CHECK_THROWS_WITH_AS(sampler.generate(p.request(), progress), doctest::Contains("cancelled"), Error);
    sampler.generate(p.request()); // and it serves again
}
