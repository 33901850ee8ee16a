// What the emulator counts in place of running it: the launches that the backend makes, over memory that is not there.
#include <doctest/doctest.h>

#include "counting.h"
#include "ops/cuda/backend.h"

using namespace atelier;

namespace {

namespace gpu = cuda_emulated;

struct CountedProducts final : gpu::MatrixProduct {
    explicit CountedProducts(std::vector<gpu::Product>& all) : all(all) {}
    void multiply(cudaStream_t, const gpu::Product& p) override { all.push_back(p); }
    std::vector<gpu::Product>& all;
};

// What a card would be asked to do, from when it is made until it is gone.
struct Counting {
    Counting() {
        emulated::count_launches([this](const emulated::Launch& launch) { launches.push_back(launch); });
        ops = gpu::make_backend("counted", 0, {}, DType::bf16, false,
            [&](void*, uint64_t) { return std::make_unique<CountedProducts>(products); });
    }
    ~Counting() { emulated::count_launches({}); }
    Counting(const Counting&) = delete;
    Counting& operator=(const Counting&) = delete;

    void* room(int64_t bytes) { return ops->memory().reserve(static_cast<uint64_t>(bytes)); }
    LinearArgs linear(int64_t rows, int64_t in, int64_t out) {
        LinearArgs t;
        t.w = {WeightFormat::nf4, out, in, nullptr, {}};
        t.w.nf4.packed = static_cast<const uint8_t*>(room(in * out / 2));
        t.w.nf4.absmax = static_cast<const float*>(room(in * out / 16));
        t.x = {room(rows * in * 2), rows, in, in, DType::bf16};
        t.bias = static_cast<const float*>(room(out * 4));
        t.y = {room(rows * out * 2), rows, out, out, DType::bf16};
        return t;
    }

    std::vector<emulated::Launch> launches;
    std::vector<gpu::Product> products;
    std::unique_ptr<Ops> ops;
};

} // namespace

TEST_CASE("a linear of an NF4 weight too large for this machine: its slabs, its products, what finishes them") {
    {
        Counting card;
        auto& launches = card.launches;
        const LinearArgs t = card.linear(100, 3072, 3072 * 1000); // a thousand slabs
        launches.clear();
        card.ops->linear(t);
        CHECK(card.products.size() == 1000);
        REQUIRE(launches.size() == 2000); // each slab is made bf16, and its sums are finished
        CHECK(launches[0].kernel != launches[1].kernel);
        CHECK(launches[0].bytes == doctest::Approx(3072 * 3072 * (0.5 + 4.0 / 64 + 2)));
        CHECK(launches[1].bytes == doctest::Approx(100 * 3072 * (4 + 2))); // fp32 sums, the bf16 result
        double bytes = 0;
        for (const emulated::Launch& launch : launches) bytes += launch.bytes;
        CHECK(bytes == doctest::Approx(1000 * (launches[0].bytes + launches[1].bytes)));
    }
    CHECK_FALSE(emulated::counting());
}

TEST_CASE("a wide weight's products keep the result whole and are added up, and no slab is a small remainder") {
    Counting card;
    for (const int64_t in : {int64_t{15360}, int64_t{12288}}) { // FLUX.1's proj_out and down projection
        CAPTURE(in);
        const LinearArgs t = card.linear(1613, in, 3072);
        card.launches.clear(), card.products.clear();
        card.ops->linear(t);
        const size_t slabs = static_cast<size_t>(in / 3072);
        REQUIRE(card.products.size() == slabs);
        CHECK(card.launches.size() == slabs + 1); // one pass finishes the sums
        for (size_t i = 0; i < slabs; ++i) {
            const gpu::Product& p = card.products[i];
            CHECK(p.m == 1613);
            CHECK(p.n == 3072);
            CHECK(p.k == 3072);
            CHECK(p.accumulate == (i > 0));
            CHECK(p.c_type == DType::f32);
            CHECK(p.c == card.products[0].c);
            CHECK(static_cast<const uint16_t*>(p.a) == static_cast<const uint16_t*>(t.x.data) + 3072 * i);
        }
    }
    const LinearArgs tall = card.linear(1613, 4096, 5000); // 2304 rows fit: 2304, 2304, 392 before
    card.products.clear();
    card.ops->linear(tall);
    std::vector<int64_t> rows;
    for (const gpu::Product& p : card.products) rows.push_back(p.n);
    CHECK(rows == std::vector<int64_t>{1672, 1672, 1656});
    LinearDxArgs back;
    back.dy = tall.y, back.w = tall.w, back.dx = tall.x;
    card.products.clear();
    card.ops->linear_dx(back);
    rows.clear();
    for (const gpu::Product& p : card.products) rows.push_back(p.n);
    CHECK(rows == std::vector<int64_t>{1408, 1408, 1280}); // columns, in whole blocks of NF4
}
