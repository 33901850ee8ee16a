// What encoders say that they cost, beside what the emulated card counts: apart from emulated_stream_test, whose cases
// another stand-in for a card can run too, which does not count.
#include "atelier/engine.h"
#include "engine/emulated_device.h"
#include "goldens.h"
#include "ops/emulated_cuda.h"
#include "ops/emulator/device_memory.h"
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;

TEST_CASE("encoders: what they say that weights and encoding cost is what they take, nothing before the first use") {
    constexpr uint64_t kPiece = 512; // that the emulator adds at most to what is reserved at once
    const auto device = emulated_card({false, DType::bf16});
    const auto taken = [](auto&& encode) { // what stays, and the most beside it
        const uint64_t before = emulated::reserved();
        encode();
        const uint64_t weights = emulated::reserved() - before;
        emulated::watch_reserved();
        encode();
        return std::pair(weights, emulated::most_reserved() - emulated::reserved());
    };
    const auto check = [](std::pair<uint64_t, uint64_t> taken, uint64_t weights, uint64_t encoding, uint64_t pieces) {
        CHECK(taken.first >= weights);
        CHECK(taken.first <= weights + kPiece);
        CHECK(taken.second >= encoding);
        CHECK(taken.second <= encoding + pieces * kPiece);
    };
    const uint64_t empty = emulated::reserved();
    for (const auto& [height, width] : {std::pair<int64_t, int64_t>{16, 16}, {32, 48}}) {
        const auto vae = Vae::load(device, fixtures_dir() + "/model/vae");
        const uint64_t bytes = vae->encode_bytes(height, width);
        CHECK(emulated::reserved() == empty);
        const std::vector<float> image(static_cast<size_t>(3 * height * width), 0.5f);
        check(taken([&] { vae->encode(image, height, width); }), vae->weight_bytes(), bytes, 1);
    }
    for (const size_t tokens : {5, 77}) {
        const auto clip = ClipText::load(device, fixtures_dir() + "/model/text_encoder");
        const auto t5 = T5Text::load(device, fixtures_dir() + "/model/text_encoder_2");
        const uint64_t clip_bytes = clip->encode_bytes(static_cast<int64_t>(tokens)),
                       t5_bytes = t5->encode_bytes(static_cast<int64_t>(tokens));
        CHECK(emulated::reserved() == empty);
        const std::vector<int32_t> ids(tokens, 3);
        check(taken([&] { clip->encode(ids); }), clip->weight_bytes(), clip_bytes, 1);
        check(taken([&] { t5->encode(std::vector{ids, ids, ids}); }), t5->weight_bytes(), t5_bytes, 2);
    }
}
