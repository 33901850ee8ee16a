// Opening a device: what each machine must answer, with a card and without.
#define DOCTEST_CONFIG_IMPLEMENT_WITH_MAIN
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
    const std::vector<std::string> names = cuda_device_names();
    std::shared_ptr<Device> card;
    try {
        card = Device::cuda();
    } catch (const Error& e) {
        CHECK(e.code() == ErrorCode::unsupported);
        const std::string text = e.what();
        CAPTURE(text);
        const bool no_card = contains(text, "-DATELIER_CUDA=ON") || contains(text, "no NVIDIA driver was found") || contains(text, "too old for this build") ||
                             contains(text, "no card that can be used");
        const bool cannot_use = contains(text, "ATELIER_CUBLASLT") || contains(text, "compute capability") || contains(text, "CMAKE_CUDA_ARCHITECTURES");
        CHECK(names.empty() ? no_card : cannot_use);
        return;
    }
    REQUIRE_FALSE(names.empty());
    CHECK(card->description() == "cuda: " + names[0]);
}

TEST_CASE("a card that does not exist is refused") {
    refusal(ErrorCode::unsupported, [] { Device::cuda(1000); });
    refusal(ErrorCode::unsupported, [] { Device::open("cuda:1000"); });
    refusal(ErrorCode::unsupported, [] { Device::cuda(-1); });
}

TEST_CASE("a device by name") {
    CHECK(Device::open("cpu", 1, "portable")->description() == Device::cpu(1, "portable")->description());
    for (const char* wrong : {"", "gpu", "cuda:", "cuda:x", "cuda:1x", "cuda:-1", "cuda0", "CPU"}) {
        CAPTURE(wrong);
        CHECK(contains(refusal(ErrorCode::invalid_argument, [&] { Device::open(wrong); }), "expected cpu, cuda, cuda:N or auto"));
    }
}

TEST_CASE("auto takes a card where one can be used, else the CPU") {
    const std::string text = Device::open("auto", 1)->description();
    CAPTURE(text);
    CHECK((text.starts_with("cuda: ") || text.starts_with("cpu ")));
    if (cuda_device_names().empty()) CHECK(text == Device::cpu(1)->description());
    else CHECK((text.starts_with("cuda: ") || contains(text, "not on a card: ")));
}
