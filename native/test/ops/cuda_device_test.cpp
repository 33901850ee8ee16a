// Opening a device: what each machine must answer, with a card and without.
#include "atelier/engine.h"
#include <doctest/doctest.h>

using namespace atelier;

namespace {

// The text of the error, checked to have the code.
template <class F>
std::string refusal(ErrorCode code, F&& f) {
    try {
        f();
    } catch (const Error& e) {
        CHECK(e.code() == code);
        return e.what();
    }
    FAIL("nothing was refused");
    return {};
}

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("a card opens, or the error says why not and what to do") {
    const std::vector<CudaCard> cards = cuda_cards();
    std::shared_ptr<Device> card;
    try {
        card = Device::cuda();
    } catch (const Error& e) {
        CHECK(e.code() == ErrorCode::unsupported);
        const std::string text = e.what();
        CAPTURE(text);
        const bool no_card = contains(text, "-DATELIER_CUDA=ON") || contains(text, "no NVIDIA driver was found") ||
                             contains(text, "too old for this build") || contains(text, "no card that can be used");
        const bool cannot_use = contains(text, "ATELIER_CUBLASLT") || contains(text, "compute capability") ||
                                contains(text, "CMAKE_CUDA_ARCHITECTURES");
        CHECK(cards.empty() ? no_card : cannot_use);
        return;
    }
    REQUIRE_FALSE(cards.empty());
    CHECK(card->description() == "cuda: " + cards[0].name);
}

TEST_CASE("a card that does not exist is refused") {
    refusal(ErrorCode::unsupported, [] { Device::cuda(1000); });
    refusal(ErrorCode::unsupported, [] { Device::open("cuda:1000"); });
    refusal(ErrorCode::unsupported, [] { Device::open("cuda:1000,fp8"); });
    refusal(ErrorCode::unsupported, [] { Device::cuda(-1); });
}

TEST_CASE("a device by name") {
    CHECK(Device::open("cpu", 1, "portable")->description() == Device::cpu(1, "portable")->description());
    for (const char* wrong : {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda0", "CPU", "cpu,fp8", "auto,fp8",
             ",fp8", "cuda:,fp8", "cuda,fp16", "cuda,fp8,fp8", "cuda,"}) {
        CAPTURE(wrong);
        CHECK(contains(refusal(ErrorCode::invalid_argument, [&] { Device::open(wrong); }),
            "expected cpu, cuda, cuda:N or auto; a card also with ,fp8 behind it"));
    }
}

TEST_CASE("fp8 is a card's that has it, one that has not says so and is not opened without it") {
    if (cuda_cards().empty()) {
        CHECK(refusal(ErrorCode::unsupported, [] { Device::open("cuda,fp8"); }) ==
              refusal(ErrorCode::unsupported, [] { Device::open("cuda"); }));
        return;
    }
    try {
        const std::string opened =
            Device::open("cuda,fp8")->description(); // inside CHECK its refusal would be a failure
        CHECK(opened == "cuda: " + cuda_cards()[0].name + ", fp8 products");
    } catch (const Error& e) {
        CHECK(e.code() == ErrorCode::unsupported);
        const std::string text = e.what();
        CAPTURE(text);
        CHECK((contains(text, "open it as cuda:0, without ,fp8") || contains(text, "ATELIER_CUBLASLT") ||
               contains(text, "CMAKE_CUDA_ARCHITECTURES") || contains(text, "8.0 or newer")));
    }
}

TEST_CASE("auto takes a card where one can be used, else the CPU") {
    const std::string text = Device::open("auto", 1)->description();
    CAPTURE(text);
    CHECK((text.starts_with("cuda: ") || text.starts_with("cpu ")));
    if (cuda_cards().empty()) CHECK(text == Device::cpu(1)->description());
    else CHECK((text.starts_with("cuda: ") || contains(text, "not on a card: ")));
}
