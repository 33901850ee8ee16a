// The autoencoder and the text encoders against the numbers of diffusers and transformers.
#include "atelier/engine.h"
#include "goldens.h"
#include "models/clip/text_model.h"
#include "models/t5/encoder.h"
#include <algorithm>
#include <cstdlib>
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

namespace {

uint64_t largest_reserved = 0;

} // namespace

// Every arena on the host is reserved with it (memory/host_memory.cpp): counted here on its way to the library.
extern "C" void* aligned_alloc(size_t alignment, size_t bytes) noexcept {
    largest_reserved = std::max<uint64_t>(largest_reserved, bytes);
    void* data = nullptr;
    return posix_memalign(&data, alignment, bytes) == 0 ? data : nullptr;
}

namespace {

constexpr double kTolerance = 1e-4; // float32 sums in another order

std::shared_ptr<Device> device() {
    static const auto shared = Device::cpu(2);
    return shared;
}

std::string component(const char* name) { return fixtures_dir() + "/model/" + name; }

// One entry per prompt: the ids for "clip" or "t5".
std::vector<std::vector<int32_t>> tokens(const char* which) {
    std::vector<std::vector<int32_t>> out;
    for (const auto& entry : fixture_json("tokens.json")) out.push_back(entry.at(which).get<std::vector<int32_t>>());
    return out;
}

} // namespace

TEST_CASE("autoencoder: posterior and picture") {
    const auto vae = Vae::load(device(), component("vae"));
    const GoldenFile golden("vae.safetensors");
    for (const auto& [name, tensor] : golden.file().tensors()) {
        if (!name.starts_with("image_")) continue;
        const std::string which = name.substr(6);
        const Golden image = golden["image_" + which], mean = golden["mean_" + which],
                     decoded = golden["decoded_" + which];
        const Vae::Posterior p = vae->encode(image.data, image.shape[2], image.shape[3]);
        CHECK(p.mean.shape == Shape(mean.shape.begin() + 1, mean.shape.end()));
        CHECK(report("vae mean " + which, p.mean.data, mean.data) < kTolerance);
        CHECK(report("vae logvar " + which, p.logvar.data, golden["logvar_" + which].data) < kTolerance);
        const Tensor picture = vae->decode(mean.data, mean.shape[2], mean.shape[3]);
        CHECK(picture.shape == Shape(decoded.shape.begin() + 1, decoded.shape.end()));
        CHECK(report("vae decode " + which, picture.data, decoded.data) < kTolerance);
    }
}

TEST_CASE("autoencoder: a sampler's packed latents unpack as in FluxPipeline") {
    const auto vae = Vae::load(device(), component("vae"));
    const GoldenFile golden("inference.safetensors");
    const Golden packed = golden["base_latents"], image = golden["base_image"]; // image: (1, H, W, 3) in 0..1
    const int64_t height = image.shape[1], width = image.shape[2];
    const Tensor picture = vae->decode_packed({{packed.shape[1], packed.shape[2]}, packed.data}, height, width);
    std::vector<float> pixels(image.data.size());
    for (int64_t c = 0; c < 3; ++c)
        for (int64_t p = 0; p < height * width; ++p)
            pixels[static_cast<size_t>(p * 3 + c)] =
                std::clamp(picture.data[static_cast<size_t>(c * height * width + p)] / 2 + 0.5f, 0.0f, 1.0f);
    CHECK(report("vae decode packed", pixels, image.data) < kTolerance);
}

TEST_CASE("CLIP text encoder: pooled and last hidden state of every prompt") {
    const auto clip = ClipText::load(device(), component("text_encoder"));
    const GoldenFile golden("text.safetensors");
    const Golden pooled = golden["clip_pooled"], hidden = golden["clip_last_hidden_state"];
    const auto ids = tokens("clip");
    REQUIRE(static_cast<int64_t>(ids.size()) == pooled.shape[0]);
    for (int64_t i = 0; i < pooled.shape[0]; ++i) {
        const ClipText::Output out = clip->encode(ids[static_cast<size_t>(i)]);
        CHECK(report("clip pooled " + std::to_string(i), out.pooled.data, pooled.row(i)) < kTolerance);
        if (i < hidden.shape[0])
            CHECK(report("clip hidden " + std::to_string(i), out.last_hidden_state.data, hidden.row(i)) < kTolerance);
    }
}

TEST_CASE("T5 encoder: embeddings of every prompt, padding attended to") {
    const auto t5 = T5Text::load(device(), component("text_encoder_2"));
    const GoldenFile golden("text.safetensors");
    const Golden embeds = golden["t5_embeds"];
    const auto ids = tokens("t5");
    REQUIRE(static_cast<int64_t>(ids.size()) == embeds.shape[0]);
    const std::vector<Tensor> got = t5->encode(ids);
    REQUIRE(got.size() == ids.size());
    for (int64_t i = 0; i < embeds.shape[0]; ++i)
        CHECK(report("t5 embeds " + std::to_string(i), got[static_cast<size_t>(i)].data, embeds.row(i)) < kTolerance);
}

TEST_CASE("on the CPU: what encoding is said to cost is what it reserves") {
    const auto reserved = [](auto&& encode) {
        largest_reserved = 0;
        encode();
        return largest_reserved;
    };
    const auto arena = [](uint64_t bytes) { return (bytes + 255) / 256 * 256; };
    const auto vae = Vae::load(device(), component("vae"));
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{64, 64}, {32, 96}}) {
        const std::vector<float> image(static_cast<size_t>(3 * height * width), 0.5f);
        CHECK(reserved([&] { vae->encode(image, height, width); }) == arena(vae->encode_bytes(height, width)));
    }
    const auto clip = ClipText::load(device(), component("text_encoder"));
    const auto t5 = T5Text::load(device(), component("text_encoder_2"));
    const int64_t heads = read_t5_config(component("text_encoder_2")).num_heads;
    for (const int64_t tokens : {7, 77}) {
        const std::vector<int32_t> ids(static_cast<size_t>(tokens), 3);
        CHECK(reserved([&] { clip->encode(ids); }) == arena(clip->encode_bytes(tokens)));
        // The position bias is an array that the host keeps between captions.
        const uint64_t bias = packed_bytes(static_cast<uint64_t>(heads * tokens * tokens) * sizeof(float));
        CHECK(reserved([&] { t5->encode(std::vector{ids, ids}); }) == arena(t5->encode_bytes(tokens) - bias));
    }
    CHECK_THROWS_WITH_AS(vae->encode_bytes(64, 63), doctest::Contains("multiples of 8"), Error);
    CHECK_THROWS_WITH_AS(clip->encode_bytes(78), doctest::Contains("78 token ids, expected 1 to 77"), Error);
    CHECK_THROWS_WITH_AS(t5->encode_bytes(0), doctest::Contains("0 token ids, expected 1 to"), Error);
}
