// A card proves itself: what computes as the CPU does is trusted, what does not is found, replaced and reported.
#include <doctest/doctest.h>

#include "atelier/card_check.h"
#include "base/error.h"
#include "cuda_runtime.h"
#include "engine/emulated_device.h"

using namespace atelier;
using namespace atelier::test;

namespace {

const KernelFinding* find(const std::vector<KernelFinding>& all, const char* family) {
    for (const KernelFinding& finding : all)
        if (finding.family == family) return &finding;
    return nullptr;
}

void check_all_agree(Device& on, bool real) {
    for (const KernelFinding& finding : check_kernels(on, real)) {
        CAPTURE(finding.family);
        CAPTURE(finding.error);
        CHECK(finding.agrees());
    }
}

struct WrongFragments {
    WrongFragments() { emulated::set_wrong_fragments(true); }
    ~WrongFragments() { emulated::set_wrong_fragments(false); }
};

} // namespace

TEST_CASE("every family agrees with the CPU: emulated cards of both types, with fp8, and this machine's card") {
    for (const DType type : {DType::f32, DType::bf16}) check_all_agree(*emulated_card({false, type}), false);
    check_all_agree(*emulated_card({false, DType::bf16, true}), false);
    // gpu-check.sh comes here for what no other test compares on a card: 8-bit AdamW, flash attention with heads of 64
    // and in fp32, products of 3 and 4 rows, and kernels of fp8 that go element by element.
    for (const char* which : {"cuda", "cuda,fp8"})
        if (device_outlook(which).card >= 0) check_all_agree(*Device::open(which), true);
}

TEST_CASE("a wrong fragment: flash attention is found, replaced by plain attention, and stays so") {
    const auto on = emulated_card({false, DType::bf16});
    const WrongFragments planted;
    const std::vector<KernelFinding> findings = check_kernels(*on, false);
    for (const KernelFinding& finding : findings) {
        CAPTURE(finding.family);
        CHECK(finding.agrees() == (finding.family != "flash attention"));
        CHECK(finding.usable());
    }
    const KernelFinding* const flash = find(findings, "flash attention");
    REQUIRE(flash);
    CHECK(flash->error > 0.1);
    CHECK(flash->instead == "plain attention");
    CHECK(flash->error_instead <= flash->allowed);
    CHECK(find(check_kernels(*on, false), "flash attention")->agrees()); // plain by now
}

TEST_CASE("a wrong scale: fp8 products are found, and the same device goes on in bf16") {
    Emulated kind{false, DType::bf16, true};
    kind.wrong_scale = true;
    const auto on = emulated_card(kind);
    const std::vector<KernelFinding> findings = check_kernels(*on, false);
    const KernelFinding* const fp8 = find(findings, "fp8 products");
    REQUIRE(fp8);
    CHECK_FALSE(fp8->agrees());
    CHECK(fp8->instead == "bf16 products");
    CHECK(fp8->usable());
    CHECK_FALSE(find(check_kernels(*on, false), "fp8 products")); // it has none any more
}

TEST_CASE("what was found earlier is avoided without checking again, and only what can be") {
    const auto on = emulated_card({false, DType::bf16});
    const WrongFragments planted;
    avoid_kernels(*on, {"flash attention", "products of a few rows"});
    CHECK(find(check_kernels(*on, false), "flash attention")->agrees());
    CHECK_THROWS_AS(avoid_kernels(*on, {"optimizers"}), Error);
    CHECK_THROWS_AS(avoid_kernels(*on, {"no such kernels"}), Error);
    CHECK_THROWS_AS(avoid_kernels(*Device::cpu(1), {"flash attention"}), Error);
}

TEST_CASE("a check that is cancelled ends at once") {
    const std::atomic<bool> cancelled = true;
    EngineProgress progress;
    progress.cancelled = &cancelled;
    CHECK_THROWS_AS(check_kernels(*Device::cpu(1), false, progress), Error);
}
