// What the engine says of a machine's cards, on machines of every kind: the emulated card and its driver stand in for
// them.
#include "atelier/engine.h"
#include "base/error.h"
#include "device_memory.h"
#include <cstdlib>
#include <doctest/doctest.h>

using namespace atelier;

namespace {

// A machine as it is for one test: EMULATED_CARD, and where cuBLASLt is.
struct Machine {
    explicit Machine(const char* card, const char* cublaslt = ATELIER_FAKE_CUBLASLT) {
        setenv("EMULATED_CARD", card, 1);
        setenv("ATELIER_CUBLASLT", cublaslt, 1);
    }
    ~Machine() {
        unsetenv("EMULATED_CARD");
        unsetenv("ATELIER_CUBLASLT");
    }
};

bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

} // namespace

TEST_CASE("without cuBLASLt, which is looked for once it is needed: a refusal that names what was tried") {
    const Machine machine("8.9", "/nowhere/libcublasLt.so");
    for (const char* which : {"cuda", "auto"}) {
        const DeviceOutlook seen = device_outlook(which);
        CHECK(seen.card == -1);
        CHECK(contains(seen.refusal, "/nowhere/libcublasLt.so"));
        CHECK(contains(seen.refusal, "Install cuBLAS of CUDA 12 or newer"));
    }
}

TEST_CASE("a card that can be used is what auto and cuda give, with its memory") {
    const Machine machine("8.9");
    for (const char* which : {"cuda", "auto", "cuda:0"}) {
        const DeviceOutlook seen = device_outlook(which);
        CHECK(seen.build == "CUDA 13.0 for 8.0, 8.9");
        CHECK(seen.card == 0);
        CHECK(seen.description == "cuda: Emulated card, 1 GB");
        CHECK(seen.bytes == 1ull << 30);
        CHECK(seen.refusal.empty());
    }
    CHECK(device_outlook("cuda,fp8").description == "cuda: Emulated card, 1 GB, fp8 products");
    CHECK(Device::open("auto")->description() == "cuda: Emulated card, 1 GB");
}

TEST_CASE("asking about a card takes nothing on it, unlike opening it") {
    const Machine machine("8.9");
    const uint64_t before = emulated::reserved();
    CHECK(device_outlook("cuda").card == 0);
    CHECK(emulated::reserved() == before);
    const auto opened = Device::open("cuda");
    CHECK(emulated::reserved() > before);
}

TEST_CASE("each reason why a card cannot be had is said, by the card's name and with what to do") {
    struct Case {
        const char *card, *reason, *remedy;
    };
    for (const Case& machine : {Case{"none", "no card that can be used", "CUDA_VISIBLE_DEVICES"},
             {"no driver", "no NVIDIA driver was found", "install one for CUDA 13.0 or newer"},
             {"old driver", "the driver is for CUDA 11.8, which is too old", "install one for CUDA 13.0"},
             {"7.5", "Emulated card, has compute capability 7.5", "use the CPU"},
             {"9.0", "has compute capability 9.0; this build is for CUDA 13.0 for 8.0, 8.9", "npm run setup"}}) {
        CAPTURE(machine.card);
        const Machine here(machine.card);
        for (const char* which : {"cuda", "auto"}) {
            const DeviceOutlook seen = device_outlook(which);
            CAPTURE(seen.refusal);
            CHECK(seen.card == -1);
            CHECK(seen.description == "cpu");
            CHECK(contains(seen.refusal, machine.reason));
            CHECK(contains(seen.refusal, machine.remedy));
        }
        CHECK_THROWS_AS(Device::open("cuda"), Error);
    }
    const Machine newer("8.6"); // code of 8.0 runs there, fp8 does not
    CHECK(device_outlook("cuda").refusal.empty());
    CHECK(contains(device_outlook("cuda,fp8").refusal, "without ,fp8"));
    CHECK(contains(device_outlook("cuda:3").refusal, "does not exist"));
}

TEST_CASE("the CPU is never refused, and a device's forms are the same for asking as for opening") {
    const Machine machine("no driver");
    CHECK(device_outlook("cpu").refusal.empty());
    CHECK(device_outlook("cpu").card == -1);
    for (const char* wrong : {"", "gpu", "cuda:x", "auto,fp8"}) CHECK_THROWS_AS(device_outlook(wrong), Error);
}
