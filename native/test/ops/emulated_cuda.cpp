#include "ops/emulated_cuda.h"
#include "base/fp8.h"
#include "ops/cuda/backend.h"
#include <array>

namespace atelier::test {
namespace {

namespace gpu = atelier::cuda_emulated;

constexpr auto kE4m3 = [] { // looked up: products of fp8 take most of a test's time
    std::array<float, 256> values{};
    for (size_t code = 0; code < values.size(); ++code) values[code] = e4m3_to_float(static_cast<uint8_t>(code));
    return values;
}();

// What cuBLASLt does, and what it insists on.
class HostProduct final : public gpu::MatrixProduct {
public:
    explicit HostProduct(float fp8_factor) : fp8_factor_(fp8_factor) {}
    void multiply(cudaStream_t stream, const gpu::Product& p) override {
        const emulated::DeviceAccess access;
        emulated::finish(stream);
        gpu::check_product(p);
        const bool fp8 = p.type == DType::f8_e4m3;
        const void *matrices[] = {p.a, p.b, p.c}, *scales[] = {p.a_scale, p.b_scale};
        for (const void* data : matrices)
            require(
                emulated::on_device(data), ErrorCode::internal, "product: a matrix that is not in the card's memory");
        for (const void* data : scales)
            require(!fp8 || emulated::on_device(data), ErrorCode::internal,
                "product: a scale that is not in the card's memory");
        fp8 ? multiply_typed(p, fp8_factor_ * *p.a_scale * *p.b_scale, static_cast<const uint8_t*>(p.a),
                  static_cast<const uint8_t*>(p.b), [](uint8_t code) { return kE4m3[code]; })
            : multiply_typed(p, 1, static_cast<const uint16_t*>(p.a), static_cast<const uint16_t*>(p.b), bf16_to_float);
    }

private:
    float fp8_factor_;

    template <class T, class Widen>
    static void multiply_typed(const gpu::Product& p, float scale, const T* first, const T* second, Widen widen) {
        for (int64_t i = 0; i < p.m; ++i)
            for (int64_t j = 0; j < p.n; ++j) {
                const T *a = first + i * p.lda, *b = second + (p.b_rows_are_columns ? j * p.ldb : j);
                float sum = 0;
                for (int64_t k = 0; k < p.k; ++k) sum += widen(a[k]) * widen(b[p.b_rows_are_columns ? k : k * p.ldb]);
                sum *= scale;
                const int64_t at = i * p.ldc + j;
                if (p.c_type == DType::bf16) {
                    uint16_t& c = static_cast<uint16_t*>(p.c)[at];
                    c = float_to_bf16(p.accumulate ? bf16_to_float(c) + sum : sum);
                } else {
                    float& c = static_cast<float*>(p.c)[at];
                    c = p.accumulate ? c + sum : sum;
                }
            }
    }
};

} // namespace

std::unique_ptr<Ops> make_emulated_cuda_ops(const Emulated& kind) {
    gpu::WorkspaceSizes sizes;
    sizes.weight_elements = kind.cramped ? 64 * 416 : 1 << 20;
    sizes.rows_elements = kind.cramped ? 40 * 640 : 1 << 20;
    sizes.library_bytes = 0;
    const std::string name = std::string("cuda, emulated, ") + dtype_name(kind.activations) +
                             (kind.fp8 ? ", fp8" : "") + (kind.cramped ? ", cramped" : "");
    return gpu::make_backend(name, 0, sizes, kind.activations, kind.fp8,
        [&](void*, uint64_t) { return std::make_unique<HostProduct>(kind.wrong_scale ? 2.0f : 1.0f); });
}

uint64_t card_workspace_bytes() { return gpu::workspace_bytes({}); }

} // namespace atelier::test
