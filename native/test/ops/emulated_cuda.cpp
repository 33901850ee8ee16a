#include "ops/emulated_cuda.h"
#include "ops/cuda/backend.h"

namespace atelier::test {
namespace {

namespace gpu = atelier::cuda_emulated;

// What cuBLASLt does, and what it insists on.
class HostProduct final : public gpu::MatrixProduct {
public:
    void multiply(cudaStream_t stream, const gpu::Product& p) override {
        const emulated::DeviceAccess access;
        emulated::finish(stream);
        for (const int64_t ld : {p.lda, p.ldb}) require(ld % gpu::kRowGranule == 0, ErrorCode::internal, "product: rows of ", ld, " elements are not whole granules");
        for (const void* matrix : {static_cast<const void*>(p.a), static_cast<const void*>(p.b), static_cast<const void*>(p.c)})
            require(emulated::on_device(matrix), ErrorCode::internal, "product: a matrix that is not in the card's memory");
        require(p.c_type == DType::f32 || p.c_type == DType::bf16, ErrorCode::internal, "product: a result in ", dtype_name(p.c_type));
        for (const uint16_t* operand : {p.a, p.b}) require(reinterpret_cast<uintptr_t>(operand) % 16 == 0, ErrorCode::internal, "product: an operand that is not aligned");
        for (int64_t i = 0; i < p.m; ++i)
            for (int64_t j = 0; j < p.n; ++j) {
                const uint16_t *a = p.a + i * p.lda, *b = p.b + (p.b_rows_are_columns ? j * p.ldb : j);
                float sum = 0;
                for (int64_t k = 0; k < p.k; ++k) sum += bf16_to_float(a[k]) * bf16_to_float(b[p.b_rows_are_columns ? k : k * p.ldb]);
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
    const std::string name = std::string("cuda, emulated, ") + dtype_name(kind.activations) + (kind.cramped ? ", cramped" : "");
    return gpu::make_backend(name, 0, sizes, kind.activations, [](void*, uint64_t) { return std::make_unique<HostProduct>(); });
}

uint64_t card_workspace_bytes() {
    return gpu::make_backend("", 0, {}, DType::bf16, [](void*, uint64_t) { return std::make_unique<HostProduct>(); })->workspace_bytes();
}

} // namespace atelier::test
