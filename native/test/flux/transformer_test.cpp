// The whole transformer against the numbers of diffusers.
#include "atelier/testing.h"
#include "goldens.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

constexpr double kTolerance = 1e-4; // float32 against float32 in another order of summation

struct Reference {
    GoldenFile file{"transformer.safetensors"};
    Golden latents = file["latents"], prompt = file["prompt_embeds"], pooled = file["pooled"];
    int64_t C = latents.shape[1], H = latents.shape[2], W = latents.shape[3];
    std::vector<float> tokens = packed(latents.data, C, H, W);

    TensorMap run(Transformer& model, float sigma, bool capture = false) const {
        testing::ForwardInput in;
        in.latents = tokens;
        in.grid_h = H / 2;
        in.grid_w = W / 2;
        in.sigma = sigma;
        in.guidance = 3.5f;
        in.prompt_embeds = prompt.data;
        in.pooled = pooled.data;
        in.capture_blocks = capture;
        return testing::forward(model, in);
    }
};

std::string transformer_dir() { return fixtures_dir() + "/model/transformer"; }

} // namespace

TEST_CASE("forward: velocity at several sigmas and every block's output") {
    for (const char* isa : {"auto", "portable"}) {
        CAPTURE(isa);
        const auto model = Transformer::load(Device::cpu(2, isa), transformer_dir(), BaseQuant::none);
        const Reference reference;
        for (const auto& [name, tensor] : reference.file.file().tensors()) {
            if (name.starts_with("out_nf4") || name.starts_with("out_small") || !name.starts_with("out_")) continue;
            const auto result = reference.run(*model, std::stof(name.substr(4)));
            CHECK(report(name, result.at("out").data, reference.file[name].data) < kTolerance);
        }
        for (const auto& [name, got] : reference.run(*model, 0.5f, true))
            if (name != "out") CHECK(report(name, got.data, reference.file[name].data) < kTolerance);
    }
}

TEST_CASE("forward: two rows of another size") {
    const auto model = Transformer::load(Device::cpu(2), transformer_dir(), BaseQuant::none);
    const GoldenFile file("transformer.safetensors"), text("text.safetensors");
    const Golden latents = file["latents_small"], expected = file["out_small_batch2_0.7"], prompt = text["t5_embeds"],
                 pooled = text["clip_pooled"];
    const float sigmas[] = {0.7f, 0.2f};
    for (int64_t row = 0; row < latents.shape[0]; ++row) {
        const auto tokens = packed(latents.row(row), latents.shape[1], latents.shape[2], latents.shape[3]);
        testing::ForwardInput in;
        in.latents = tokens;
        in.grid_h = latents.shape[2] / 2;
        in.grid_w = latents.shape[3] / 2;
        in.sigma = sigmas[row];
        in.guidance = 3.5f;
        in.prompt_embeds = prompt.row(row);
        in.pooled = pooled.row(row);
        CHECK(report("out_small row " + std::to_string(row), testing::forward(*model, in).at("out").data,
                  expected.row(row)) < kTolerance);
    }
}

TEST_CASE("forward: every linear through NF4") {
    const auto model = Transformer::load(Device::cpu(2), transformer_dir(), BaseQuant::nf4);
    const Reference reference;
    for (const auto& [name, tensor] : reference.file.file().tensors())
        if (name.starts_with("out_nf4_"))
            CHECK(report(name, reference.run(*model, std::stof(name.substr(8))).at("out").data,
                      reference.file[name].data) < kTolerance);
}
