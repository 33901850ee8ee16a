// The product over a library with cuBLASLt's names that computes on the host: what is asked of it, and that rows and
// columns are not confused.
#include "base/error.h"
#include "base/fp8.h"
#include "ops/cuda/cublaslt_api.h"
#include "ops/cuda/cublaslt_product.h"
#include "support.h"
#include <cstdlib>
#include <dlfcn.h>
#include <doctest/doctest.h>

using namespace atelier;
using namespace atelier::test;
namespace gpu = atelier::cuda_emulated;

namespace {

void* const kWorkspace = reinterpret_cast<void*>(256); // never touched
constexpr uint64_t kBytes = 1 << 20;

int ask_fake(const char* name) {
    void* const file = dlopen(ATELIER_FAKE_CUBLASLT, RTLD_NOW | RTLD_NOLOAD);
    REQUIRE(file);
    return reinterpret_cast<int (*)()>(dlsym(file, name))();
}

std::unique_ptr<gpu::MatrixProduct> make_product() {
    setenv("ATELIER_CUBLASLT", ATELIER_FAKE_CUBLASLT, 1);
    return gpu::make_cublaslt_product(kWorkspace, kBytes);
}

// A matrix of bf16 with its rows at `ld`, aligned as a card's are.
struct Narrow {
    std::vector<uint16_t> room;
    uint16_t* data;
    int64_t ld;
    Narrow(int64_t rows, int64_t row_elements, std::mt19937& random)
        : room(static_cast<size_t>(rows * row_elements) + 8), ld(row_elements) {
        data = reinterpret_cast<uint16_t*>((reinterpret_cast<uintptr_t>(room.data()) + 15) / 16 * 16);
        std::normal_distribution<float> normal;
        for (int64_t i = 0; i < rows * ld; ++i) data[i] = float_to_bf16(normal(random));
    }
    double at(int64_t row, int64_t col) const { return bf16_to_float(data[row * ld + col]); }
};

} // namespace

TEST_CASE("a library that is not there, or is another, is an error that says what to do") {
    const auto refusal = [](const char* path) -> std::string {
        setenv("ATELIER_CUBLASLT", path, 1);
        try {
            gpu::cublaslt::library();
        } catch (const Error& e) {
            CHECK(e.code() == ErrorCode::unsupported);
            return e.what();
        }
        return "nothing was refused";
    };
    CHECK(refusal("/nowhere/libcublasLt.so").find("/nowhere/libcublasLt.so") != std::string::npos);
    CHECK(refusal("libm.so.6").find("libm.so.6 has no cublasLtGetVersion") != std::string::npos);
}

TEST_CASE("products, row by row") {
    std::mt19937 random(3);
    const auto product = make_product();
    struct Case {
        int64_t m, n, k, lda, ldb, ldc, offset;
    };
    for (const Case& s : {Case{5, 7, 16, 16, 24, 7, 0}, {1, 24, 8, 8, 32, 30, 1}, {9, 3, 40, 48, 40, 8, 3}})
        for (const bool b_rows_are_columns : {true, false})
            for (const bool narrow : {false, true})
                for (const bool accumulate : {false, true}) {
                    INFO(s.m, " ", b_rows_are_columns, " ", narrow, " ", accumulate);
                    const Narrow a(s.m, s.lda, random),
                        b(b_rows_are_columns ? s.n : s.k, b_rows_are_columns ? std::max(s.ldb, s.k) : s.ldb, random);
                    Matrix c(s.m, s.ldc + s.offset, random);
                    std::vector<uint16_t> c16;
                    for (float& v : c.values)
                        c16.push_back(float_to_bf16(v)), v = narrow ? bf16_to_float(c16.back()) : v;
                    Matrix expected = c;
                    for (int64_t i = 0; i < s.m; ++i)
                        for (int64_t j = 0; j < s.n; ++j) {
                            double sum = 0;
                            for (int64_t k = 0; k < s.k; ++k)
                                sum += a.at(i, k) * (b_rows_are_columns ? b.at(j, k) : b.at(k, j));
                            float& e = expected.values[static_cast<size_t>(s.offset + i * s.ldc + j)];
                            e = static_cast<float>(sum + (accumulate ? e : 0));
                        }
                    gpu::Product p{s.m, s.n, s.k, a.data, a.ld, b.data, b.ld, b_rows_are_columns,
                        c.values.data() + s.offset, s.ldc, accumulate};
                    if (narrow) p.c = c16.data() + s.offset;
                    p.c_type = narrow ? DType::bf16 : DType::f32;
                    product->multiply(nullptr, p);
                    if (narrow) std::transform(c16.begin(), c16.end(), c.values.begin(), bf16_to_float);
                    CHECK(relative_error(c.values, expected.values) <
                          (narrow ? 1.0 / 256 : 1e-6)); // also what lies between rows
                }
}

TEST_CASE("products of fp8 operands, each times its scale, the scales of one call are not those of the next") {
    std::mt19937 random(6);
    const auto product = make_product();
    struct alignas(16) Bytes {
        uint8_t v[16];
    };
    const auto drawn = [&](int64_t rows, int64_t ld) {
        std::vector<Bytes> bytes(static_cast<size_t>(rows * ld / 16));
        std::normal_distribution<float> normal(0, 20);
        for (Bytes& sixteen : bytes)
            for (uint8_t& v : sixteen.v) v = float_to_e4m3(normal(random));
        return bytes;
    };
    struct alignas(16) Result {
        float v[4];
    };
    for (const bool narrow : {false, true})
        for (const bool accumulate : {false, true})
            for (const float a_scale : {0.5f, 0.125f}) {
                constexpr int64_t m = 5, n = 32, k = 48, lda = 64, ldb = 48, ldc = 40;
                const std::vector<Bytes> a = drawn(m, lda), b = drawn(n, ldb);
                std::vector<Result> c(m * ldc / 4, Result{{1, 1, 1, 1}});
                const float b_scale = 3;
                const DType result = narrow ? DType::bf16 : DType::f32;
                const gpu::Product p{m, n, k, a.data(), lda, b.data(), ldb, true, c.data(), ldc, accumulate, result,
                    DType::f8_e4m3, &a_scale, &b_scale};
                if (narrow) std::fill_n(reinterpret_cast<uint16_t*>(c.data()), m * ldc, float_to_bf16(1));
                product->multiply(nullptr, p);
                std::vector<float> got;
                std::vector<double> expected;
                for (int64_t i = 0; i < m; ++i)
                    for (int64_t j = 0; j < n; ++j) {
                        double sum = 0;
                        for (int64_t t = 0; t < k; ++t)
                            sum += e4m3_to_float(a[0].v[i * lda + t]) * e4m3_to_float(b[0].v[j * ldb + t]);
                        expected.push_back(sum * a_scale * b_scale + (accumulate ? 1 : 0));
                        got.push_back(narrow ? bf16_to_float(reinterpret_cast<uint16_t*>(c.data())[i * ldc + j])
                                             : reinterpret_cast<float*>(c.data())[i * ldc + j]);
                    }
                CHECK(relative_error(got, expected) < (narrow ? 1.0 / 256 : 1e-6));
            }
}

TEST_CASE("an algorithm is chosen once for equal products, and everything is given back") {
    std::mt19937 random(4);
    const int before = [] {
        make_product();
        return ask_fake("fake_objects");
    }();
    {
        const auto product = make_product();
        const Narrow a(4, 8, random), b(4, 8, random);
        std::vector<float> c(64);
        const gpu::Product p{4, 4, 8, a.data, 8, b.data, 8, true, c.data(), 4, false};
        const int asked = ask_fake("fake_questions");
        for (int i = 0; i < 3; ++i) product->multiply(nullptr, p);
        CHECK(ask_fake("fake_questions") == asked + 1);
        gpu::Product other = p;
        other.c = c.data() + 1; // of another alignment
        product->multiply(nullptr, other);
        CHECK(ask_fake("fake_questions") == asked + 2);
        CHECK(ask_fake("fake_objects") > before);
    }
    CHECK(ask_fake("fake_objects") == before);
}

TEST_CASE("operands that the library would misread are refused") {
    std::mt19937 random(5);
    const auto product = make_product();
    const Narrow a(4, 8, random), b(4, 8, random);
    std::vector<float> c(16);
    const gpu::Product good{4, 4, 8, a.data, 8, b.data, 8, true, c.data(), 4, false};
    product->multiply(nullptr, good);
    gpu::Product p = good;
    p.a = a.data + 1;
    CHECK_THROWS_AS(product->multiply(nullptr, p), Error);
    p = good;
    p.ldb = 12;
    CHECK_THROWS_AS(product->multiply(nullptr, p), Error);
    p = good;
    p.c_type = DType::f16;
    CHECK_THROWS_AS(product->multiply(nullptr, p), Error);
    p = good;
    p.type = DType::f16;
    CHECK_THROWS_AS(product->multiply(nullptr, p), Error);
    alignas(16) const uint8_t bytes[16 * 32] = {};
    alignas(16) float result[16 * 16];
    const float one = 1;
    const gpu::Product fp8{
        16, 16, 32, bytes, 32, bytes, 32, true, result, 16, false, DType::f32, DType::f8_e4m3, &one, &one};
    product->multiply(nullptr, fp8);
    for (const auto& spoil : {+[](gpu::Product& q) { q.b_rows_are_columns = false; }, +[](gpu::Product& q) { q.n = 8; },
             +[](gpu::Product& q) { q.k = 24; }, +[](gpu::Product& q) { q.lda = 40; },
             +[](gpu::Product& q) { q.c = static_cast<float*>(q.c) + 1; }, +[](gpu::Product& q) { q.ldc = 17; },
             +[](gpu::Product& q) { q.a_scale = nullptr; }}) {
        p = fp8;
        spoil(p);
        CHECK_THROWS_AS(product->multiply(nullptr, p), Error);
    }
    p = good;
    p.ldc = 3; // shorter than its rows: the library refuses every algorithm
    CHECK_THROWS_AS(product->multiply(nullptr, p), Error);
    p = good;
    p.m = 0;
    CHECK_NOTHROW(product->multiply(nullptr, p));
}
