// What the emulator counts in place of running it: the launches that the backend makes, over memory that is not there.
#include <doctest/doctest.h>

#include "counting.h"
#include "ops/cuda/backend.h"

using namespace atelier;

namespace {

namespace gpu = cuda_emulated;

struct CountedProducts final : gpu::MatrixProduct {
    explicit CountedProducts(int& count) : count(count) {}
    void multiply(cudaStream_t, const gpu::Product&) override { ++count; }
    int& count;
};

} // namespace

TEST_CASE("a linear of an NF4 weight too large for this machine: its slabs, its products, what finishes them") {
    std::vector<emulated::Launch> launches;
    int products = 0;
    emulated::count_launches([&](const emulated::Launch& launch) { launches.push_back(launch); });
    const auto ops = gpu::make_backend("counted", 0, {}, DType::bf16, false,
        [&](void*, uint64_t) { return std::make_unique<CountedProducts>(products); });
    Memory& memory = ops->memory();
    const int64_t rows = 100, in = 3072, out = 3072 * 1000; // a thousand slabs
    Weight w{WeightFormat::nf4, out, in, nullptr, {}};
    w.nf4.packed = static_cast<const uint8_t*>(memory.reserve(static_cast<uint64_t>(in * out) / 2));
    w.nf4.absmax = static_cast<const float*>(memory.reserve(static_cast<uint64_t>(in * out) / 16));
    LinearArgs t;
    t.x = {memory.reserve(static_cast<uint64_t>(rows * in) * 2), rows, in, in, DType::bf16};
    t.w = w;
    t.bias = static_cast<const float*>(memory.reserve(static_cast<uint64_t>(out) * 4));
    t.y = {memory.reserve(static_cast<uint64_t>(rows * out) * 2), rows, out, out, DType::bf16};
    launches.clear();
    ops->linear(t);
    CHECK(products == 1000);
    REQUIRE(launches.size() == 2000); // each slab is made bf16, and its sums are finished
    CHECK(launches[0].kernel != launches[1].kernel);
    CHECK(launches[0].bytes == doctest::Approx(3072 * 3072 * (0.5 + 4.0 / 64 + 2)));
    CHECK(launches[1].bytes == doctest::Approx(100 * 3072 * (4 + 2))); // fp32 sums, the bf16 result
    double bytes = 0;
    for (const emulated::Launch& launch : launches) bytes += launch.bytes;
    CHECK(bytes == doctest::Approx(1000 * (launches[0].bytes + launches[1].bytes)));
    emulated::count_launches({});
    CHECK_FALSE(emulated::counting());
}
