#include "ops/cuda/cublaslt_product.h"
#include "ops/cuda/cublaslt_api.h"
#include <compare>
#include <map>

namespace atelier::ATELIER_CUDA_NS {
namespace {

namespace lt = cublaslt;

void done(lt::Status status, const char* what) {
    require(status == lt::Status::success, ErrorCode::internal, "CUDA: cuBLASLt: ", what, ": ", lt::library().status_text(status));
}

// One of the library's objects.
template <class T>
class Owned {
public:
    using Free = lt::Status (*)(T*);
    Owned(T* object, Free free) : object_(object, free) {}
    T* get() const { return object_.get(); }

private:
    std::unique_ptr<T, Free> object_;
};

Owned<lt::Context> make_context() {
    lt::Context* made = nullptr;
    done(lt::library().create(&made), "start");
    return {made, lt::library().destroy};
}

Owned<lt::Layout> make_layout(lt::ElementType type, int64_t rows, int64_t cols, int64_t ld) {
    lt::Layout* made = nullptr;
    done(lt::library().layout_create(&made, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld), "layout");
    return {made, lt::library().layout_destroy};
}

Owned<lt::Operation> make_operation(lt::Transpose first) {
    lt::Operation* made = nullptr;
    done(lt::library().operation_create(&made, lt::ComputeType::f32, lt::ElementType::f32), "operation");
    Owned<lt::Operation> operation(made, lt::library().operation_destroy);
    done(lt::library().operation_set(made, lt::OperationField::transpose_a, &first, sizeof first), "transpose");
    return operation;
}

template <class T>
void prefer(const Owned<lt::Preference>& preference, lt::PreferenceField field, T value) {
    done(lt::library().preference_set(preference.get(), field, &value, sizeof value), "preference");
}

constexpr uint32_t kAlignment = 16; // of the operands; the result's where it has it

// What the library's choice depends on.
struct Key {
    int64_t m, n, k, lda, ldb, ldc;
    bool b_rows_are_columns;
    DType c_type;
    uint32_t c_alignment; // bytes
    auto operator<=>(const Key&) const = default;
};

Key key_of(const Product& p) {
    const bool aligned = reinterpret_cast<uintptr_t>(p.c) % kAlignment == 0;
    return {p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.b_rows_are_columns, p.c_type, aligned ? kAlignment : static_cast<uint32_t>(dtype_size(p.c_type))};
}

// The library reads column by column, where our matrices are their own transposes: it computes cᵀ (n, m) = op(b)ᵀ (n, k) · aᵀ (k, m), with b first.
struct Plan {
    explicit Plan(const Key& s)
        : operation(make_operation(s.b_rows_are_columns ? lt::Transpose::yes : lt::Transpose::no)),
          b(s.b_rows_are_columns ? make_layout(lt::ElementType::bf16, s.k, s.n, s.ldb) : make_layout(lt::ElementType::bf16, s.n, s.k, s.ldb)),
          a(make_layout(lt::ElementType::bf16, s.k, s.m, s.lda)),
          c(make_layout(s.c_type == DType::bf16 ? lt::ElementType::bf16 : lt::ElementType::f32, s.n, s.m, s.ldc)) {}

    Owned<lt::Operation> operation;
    Owned<lt::Layout> b, a, c;
    lt::Algorithm algorithm{};
};

class CublasLtProduct final : public MatrixProduct {
public:
    CublasLtProduct(void* workspace, uint64_t bytes) : context_(make_context()), workspace_(workspace), bytes_(bytes) {}

    void multiply(cudaStream_t stream, const Product& p) override {
        if (p.m == 0 || p.n == 0) return;
        check_operands(p);
        const Key key = key_of(p);
        if (const auto known = plans_.find(key); known != plans_.end()) {
            done(run(stream, p, known->second), "product");
            return;
        }
        Plan plan(key);
        const lt::Status status = first_run(stream, p, key, plan);
        require(status == lt::Status::success, ErrorCode::unsupported, "CUDA: cuBLASLt ", lt::library().version(), " has no algorithm within ", bytes_,
                " bytes of workspace for (", p.m, " x ", p.k, ") · (", p.k, " x ", p.n, "), rows at ", p.lda, ", ", p.ldb, ", ", p.ldc, ": ",
                lt::library().status_text(status), ". Name another version of the library in ATELIER_CUBLASLT");
        plans_.emplace(key, std::move(plan));
    }

private:
    static void check_operands(const Product& p) {
        require(p.k > 0, ErrorCode::internal, "product: a sum over nothing");
        require(p.c_type == DType::f32 || p.c_type == DType::bf16, ErrorCode::internal, "product: a result in ", dtype_name(p.c_type));
        for (const int64_t ld : {p.lda, p.ldb}) require(ld % kRowGranule == 0, ErrorCode::internal, "product: rows of ", ld, " elements are not whole granules");
        for (const uint16_t* operand : {p.a, p.b})
            require(reinterpret_cast<uintptr_t>(operand) % kAlignment == 0, ErrorCode::internal, "product: an operand that is not aligned");
    }

    // Leaves in the plan the first algorithm that runs: the fastest by the library's estimate. A refused one has launched nothing. Else the
    // last reason.
    lt::Status first_run(cudaStream_t stream, const Product& p, const Key& key, Plan& plan) {
        constexpr int kAsked = 8;
        lt::Candidate candidates[kAsked] = {};
        int given = 0;
        const Owned<lt::Preference> preference = preferences(key);
        lt::Status status = lt::library().candidates(context_.get(), plan.operation.get(), plan.b.get(), plan.a.get(), plan.c.get(), plan.c.get(), preference.get(),
                                                     kAsked, candidates, &given);
        if (status == lt::Status::success) status = lt::Status::not_supported;
        for (int i = 0; i < given; ++i) {
            if (candidates[i].status != lt::Status::success || candidates[i].workspace_bytes > bytes_) continue;
            plan.algorithm = candidates[i].algorithm;
            status = run(stream, p, plan);
            if (status == lt::Status::success) break;
        }
        return status;
    }

    Owned<lt::Preference> preferences(const Key& key) const {
        lt::Preference* made = nullptr;
        done(lt::library().preference_create(&made), "preference");
        Owned<lt::Preference> preference(made, lt::library().preference_destroy);
        prefer(preference, lt::PreferenceField::most_workspace, bytes_);
        // Partial sums stay fp32 and are added in a step of their own: no narrow results on the way, one order.
        prefer(preference, lt::PreferenceField::reductions, lt::kReductionNone | lt::kReductionInComputeType);
        prefer(preference, lt::PreferenceField::alignment_a, kAlignment);
        prefer(preference, lt::PreferenceField::alignment_b, kAlignment);
        prefer(preference, lt::PreferenceField::alignment_c, key.c_alignment);
        prefer(preference, lt::PreferenceField::alignment_d, key.c_alignment);
        return preference;
    }

    lt::Status run(cudaStream_t stream, const Product& p, const Plan& plan) const {
        const float one = 1, kept = p.accumulate ? 1 : 0;
        return lt::library().multiply(context_.get(), plan.operation.get(), &one, p.b, plan.b.get(), p.a, plan.a.get(), &kept, p.c, plan.c.get(), p.c, plan.c.get(),
                                      &plan.algorithm, workspace_, bytes_, stream);
    }

    Owned<lt::Context> context_;
    void* workspace_;
    uint64_t bytes_;
    std::map<Key, Plan> plans_;
};

} // namespace

std::unique_ptr<MatrixProduct> make_cublaslt_product(void* workspace, uint64_t bytes) { return std::make_unique<CublasLtProduct>(workspace, bytes); }

} // namespace atelier::ATELIER_CUDA_NS
