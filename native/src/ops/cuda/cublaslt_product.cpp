#include "ops/cuda/cublaslt_product.h"
#include "ops/cuda/cublaslt_api.h"
#include <compare>
#include <map>

namespace atelier::ATELIER_CUDA_NS {
namespace {

namespace lt = cublaslt;

void done(lt::Status status, const char* what) {
    require(status == lt::Status::success, ErrorCode::internal, "CUDA: cuBLASLt: ", what, ": ",
        lt::library().status_text(status));
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
    done(lt::library().layout_create(&made, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(cols), ld),
        "layout");
    return {made, lt::library().layout_destroy};
}

template <class T>
void set(const Owned<lt::Operation>& operation, lt::OperationField field, T value) {
    done(lt::library().operation_set(operation.get(), field, &value, sizeof value), "operation's setting");
}

Owned<lt::Operation> make_operation(lt::Transpose first) {
    lt::Operation* made = nullptr;
    done(lt::library().operation_create(&made, lt::ComputeType::f32, lt::ElementType::f32), "operation");
    Owned<lt::Operation> operation(made, lt::library().operation_destroy);
    set(operation, lt::OperationField::transpose_a, first);
    return operation;
}

template <class T>
void prefer(const Owned<lt::Preference>& preference, lt::PreferenceField field, T value) {
    done(lt::library().preference_set(preference.get(), field, &value, sizeof value), "preference");
}

constexpr uint32_t kAlignment = kGranuleBytes; // of the operands; the result's where it has it

lt::ElementType element_type(DType type) {
    return type == DType::f8_e4m3 ? lt::ElementType::e4m3
           : type == DType::bf16  ? lt::ElementType::bf16
                                  : lt::ElementType::f32;
}

// What the library's choice depends on.
struct Key {
    int64_t m, n, k, lda, ldb, ldc;
    bool b_rows_are_columns;
    DType type, c_type;
    uint32_t c_alignment; // bytes
    auto operator<=>(const Key&) const = default;
};

Key key_of(const Product& p) {
    const bool aligned = reinterpret_cast<uintptr_t>(p.c) % kAlignment == 0;
    return {p.m, p.n, p.k, p.lda, p.ldb, p.ldc, p.b_rows_are_columns, p.type, p.c_type,
        aligned ? kAlignment : static_cast<uint32_t>(dtype_size(p.c_type))};
}

// The same with the rows of b side by side: a weight that was widened beforehand is read in place, one that is widened
// for its product lies in a slab, and both are to be summed in the same order.
Key with_packed_b(Key key) {
    const int64_t width = key.b_rows_are_columns ? key.k : key.n;
    key.ldb = (width + kRowGranule - 1) / kRowGranule * kRowGranule;
    return key;
}

// The library reads column by column, where our matrices are their own transposes: it computes cᵀ (n, m) = op(b)ᵀ (n,
// k) · aᵀ (k, m), with b first.
struct Plan {
    explicit Plan(const Key& s)
        : operation(make_operation(s.b_rows_are_columns ? lt::Transpose::yes : lt::Transpose::no)),
          b(s.b_rows_are_columns ? make_layout(element_type(s.type), s.k, s.n, s.ldb)
                                 : make_layout(element_type(s.type), s.n, s.k, s.ldb)),
          a(make_layout(element_type(s.type), s.k, s.m, s.lda)),
          c(make_layout(element_type(s.c_type), s.n, s.m, s.ldc)) {}

    // The factors of fp8 operands, the library's first being b.
    void scale(const Product& p) const {
        if (p.type != DType::f8_e4m3) return;
        set<const void*>(operation, lt::OperationField::scale_a, p.b_scale);
        set<const void*>(operation, lt::OperationField::scale_b, p.a_scale);
    }

    Owned<lt::Operation> operation;
    Owned<lt::Layout> b, a, c;
    lt::Algorithm algorithm{};
};

class CublasLtProduct final : public MatrixProduct {
public:
    CublasLtProduct(void* workspace, uint64_t bytes) : context_(make_context()), workspace_(workspace), bytes_(bytes) {}

    void multiply(cudaStream_t stream, const Product& p) override {
        if (p.m == 0 || p.n == 0) return;
        check_product(p);
        const Key key = key_of(p);
        if (const auto known = plans_.find(key); known != plans_.end()) {
            known->second.scale(p);
            done(run(stream, p, known->second), "product");
            return;
        }
        Plan plan(key);
        plan.scale(p);
        const lt::Status status = first_run(stream, p, key, plan);
        require(status == lt::Status::success, ErrorCode::unsupported, "CUDA: cuBLASLt ", lt::library().version(),
            " has no algorithm within ", bytes_, " bytes of workspace for ", dtype_name(p.type), " (", p.m, " x ", p.k,
            ") · (", p.k, " x ", p.n, "), rows at ", p.lda, ", ", p.ldb, ", ", p.ldc, ": ",
            lt::library().status_text(status), ". Name another version of the library in ATELIER_CUBLASLT");
        plans_.emplace(key, std::move(plan));
    }

private:
    // Leaves in the plan the first algorithm that runs: the fastest by the library's estimate, which is asked for b's
    // rows side by side. A refused one has launched nothing. Else the last reason.
    lt::Status first_run(cudaStream_t stream, const Product& p, const Key& key, Plan& plan) {
        constexpr int kAsked = 8;
        lt::Candidate candidates[kAsked] = {};
        int given = 0;
        const Owned<lt::Preference> preference = preferences(key);
        const Plan asked(with_packed_b(key));
        lt::Status status = lt::library().candidates(context_.get(), plan.operation.get(), asked.b.get(), asked.a.get(),
            asked.c.get(), asked.c.get(), preference.get(), kAsked, candidates, &given);
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
#ifdef ATELIER_CUDA_EMULATED
        // A library that stands in for the real one reads the card's memory from the host, now.
        const emulated::DeviceAccess access;
        emulated::finish(stream);
#endif
        return lt::library().multiply(context_.get(), plan.operation.get(), &one, p.b, plan.b.get(), p.a, plan.a.get(),
            &kept, p.c, plan.c.get(), p.c, plan.c.get(), &plan.algorithm, workspace_, bytes_, stream);
    }

    Owned<lt::Context> context_;
    void* workspace_;
    uint64_t bytes_;
    std::map<Key, Plan> plans_;
};

} // namespace

std::unique_ptr<MatrixProduct> make_cublaslt_product(void* workspace, uint64_t bytes) {
    return std::make_unique<CublasLtProduct>(workspace, bytes);
}

} // namespace atelier::ATELIER_CUDA_NS
