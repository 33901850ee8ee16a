// A library with cuBLASLt's names that computes in host loops, column by column as the real one documents it. It
// insists on what the real one does: stated alignments, leading dimensions, shapes that fit each other; of fp8 operands
// the layout, whole granules and scales. The first algorithm it offers is always refused.
#include "base/fp8.h"
#include "base/half.h"
#include "ops/cuda/cublaslt_api.h"
#include <algorithm>

namespace lt = atelier::cuda_emulated::cublaslt;
using lt::Status;

namespace atelier::cuda_emulated::cublaslt {

struct Context {};
struct Operation {
    Transpose a = Transpose::no, b = Transpose::no;
    const void *a_scale = nullptr, *b_scale = nullptr;
};
struct Layout {
    ElementType type;
    uint64_t rows, cols;
    int64_t ld;
};
struct Preference {
    uint64_t workspace = 0;
    uint32_t reductions = 7, alignment[4] = {256, 256, 256, 256};
};

} // namespace atelier::cuda_emulated::cublaslt

namespace {

constexpr Status kInvalid{7};
constexpr uint64_t kRefused = 1, kTaken = 2, kGreedy = 3; // algorithms
uint32_t stated[4]; // alignments of the last question
uint64_t workspace_stated;
int objects, questions;

float element(const void* data, const lt::Layout& l, uint64_t row, uint64_t col) {
    const uint64_t at = row + col * static_cast<uint64_t>(l.ld);
    if (l.type == lt::ElementType::e4m3) return atelier::e4m3_to_float(static_cast<const uint8_t*>(data)[at]);
    return l.type == lt::ElementType::f32 ? static_cast<const float*>(data)[at]
                                          : atelier::bf16_to_float(static_cast<const uint16_t*>(data)[at]);
}

// "To use FP8 kernels …" of cublasLtMatmul's manual, and its rules of tensor cores.
bool takes_fp8(const lt::Operation& o, const lt::Layout& a, const lt::Layout& b, const lt::Layout& c) {
    const auto whole = [](uint64_t elements, const lt::Layout& l) {
        return elements * (l.type == lt::ElementType::e4m3 ? 1 : l.type == lt::ElementType::bf16 ? 2 : 4) % 16 == 0;
    };
    return b.type == a.type && o.a == lt::Transpose::yes && o.b == lt::Transpose::no && whole(a.rows, a) &&
           whole(b.rows, b) && whole(c.rows, c) && whole(static_cast<uint64_t>(a.ld), a) &&
           whole(static_cast<uint64_t>(b.ld), b) && whole(static_cast<uint64_t>(c.ld), c) && stated[2] % 16 == 0;
}

float scale_of(const void* scale) { return scale ? *static_cast<const float*>(scale) : 1; }

bool aligned(const void* data, int which) { return reinterpret_cast<uintptr_t>(data) % stated[which] == 0; }

template <class T>
Status set(T& field, const void* value, size_t bytes) {
    if (bytes != sizeof field) return kInvalid;
    field = *static_cast<const T*>(value);
    return Status::success;
}

template <class T>
Status made(T** object, T value) {
    *object = new T(value);
    ++objects;
    return Status::success;
}

template <class T>
Status freed(T* object) {
    delete object;
    --objects;
    return Status::success;
}

} // namespace

extern "C" {

// What tests ask of it: objects that are alive, and questions for algorithms so far.
int fake_objects() { return objects; }
int fake_questions() { return questions; }

size_t cublasLtGetVersion() { return 130000; }
const char* cublasLtGetStatusString(Status) { return "as the fake sees it"; }
Status cublasLtCreate(lt::Context** c) { return made(c, {}); }
Status cublasLtDestroy(lt::Context* c) { return freed(c); }
Status cublasLtMatmulDescCreate(lt::Operation** o, lt::ComputeType compute, lt::ElementType scale) {
    return compute == lt::ComputeType::f32 && scale == lt::ElementType::f32 ? made(o, {}) : kInvalid;
}
Status cublasLtMatmulDescSetAttribute(lt::Operation* o, lt::OperationField field, const void* value, size_t bytes) {
    switch (field) {
        case lt::OperationField::transpose_a: return set(o->a, value, bytes);
        case lt::OperationField::transpose_b: return set(o->b, value, bytes);
        case lt::OperationField::scale_a: return set(o->a_scale, value, bytes);
        case lt::OperationField::scale_b: return set(o->b_scale, value, bytes);
    }
    return kInvalid;
}
Status cublasLtMatmulDescDestroy(lt::Operation* o) { return freed(o); }
Status cublasLtMatrixLayoutCreate(lt::Layout** l, lt::ElementType type, uint64_t rows, uint64_t cols, int64_t ld) {
    return made(l, {type, rows, cols, ld});
}
Status cublasLtMatrixLayoutDestroy(lt::Layout* l) { return freed(l); }
Status cublasLtMatmulPreferenceCreate(lt::Preference** p) { return made(p, {}); }
Status cublasLtMatmulPreferenceSetAttribute(
    lt::Preference* p, lt::PreferenceField field, const void* value, size_t bytes) {
    if (field == lt::PreferenceField::most_workspace) return set(p->workspace, value, bytes);
    if (field == lt::PreferenceField::reductions) return set(p->reductions, value, bytes);
    return set(
        p->alignment[static_cast<int>(field) - static_cast<int>(lt::PreferenceField::alignment_a)], value, bytes);
}
Status cublasLtMatmulPreferenceDestroy(lt::Preference* p) { return freed(p); }

Status cublasLtMatmulAlgoGetHeuristic(lt::Context*, lt::Operation*, lt::Layout*, lt::Layout*, lt::Layout*, lt::Layout*,
    lt::Preference* p, int asked, lt::Candidate* to, int* given) {
    ++questions;
    std::copy_n(p->alignment, 4, stated);
    workspace_stated = p->workspace;
    if (p->reductions & 5) return kInvalid; // in place, or in the result's type
    const lt::Candidate all[] = {{{{kGreedy}}, p->workspace + 1, Status::success, 1, {}},
        {{{kTaken}}, 0, kInvalid, 1, {}}, {{{kRefused}}, 0, Status::success, 1, {}},
        {{{kTaken}}, p->workspace, Status::success, 1, {}}};
    *given = std::min<int>(asked, static_cast<int>(std::size(all)));
    std::copy_n(all, *given, to);
    return Status::success;
}

Status cublasLtMatmul(lt::Context*, lt::Operation* o, const void* alpha, const void* a, lt::Layout* la, const void* b,
    lt::Layout* lb, const void* beta, const void* c, lt::Layout* lc, void* d, lt::Layout* ld,
    const lt::Algorithm* algorithm, void* workspace, size_t bytes, cudaStream_t) {
    if (algorithm->data[0] != kTaken) return Status::not_supported;
    if (!workspace || bytes < workspace_stated || c != d || lc != ld) return kInvalid;
    if (!aligned(a, 0) || !aligned(b, 1) || !aligned(c, 2) || !aligned(d, 3)) return kInvalid;
    const bool fp8 = la->type == lt::ElementType::e4m3;
    if (fp8 ? !takes_fp8(*o, *la, *lb, *lc) : o->a_scale || o->b_scale)
        return kInvalid; // of other operands a scale is "an unsupported combination"
    const float scale = scale_of(o->a_scale) * scale_of(o->b_scale);
    const bool flip_a = o->a == lt::Transpose::yes, flip_b = o->b == lt::Transpose::yes;
    const uint64_t m = flip_a ? la->cols : la->rows, k = flip_a ? la->rows : la->cols, n = flip_b ? lb->rows : lb->cols;
    if ((flip_b ? lb->cols : lb->rows) != k || ld->rows != m || ld->cols != n) return kInvalid;
    for (const lt::Layout* l : {la, lb, ld})
        if (l->ld < static_cast<int64_t>(l->rows)) return kInvalid;
    for (uint64_t i = 0; i < m; ++i)
        for (uint64_t j = 0; j < n; ++j) {
            float sum = 0;
            for (uint64_t t = 0; t < k; ++t)
                sum +=
                    element(a, *la, flip_a ? t : i, flip_a ? i : t) * element(b, *lb, flip_b ? j : t, flip_b ? t : j);
            const float kept = *static_cast<const float*>(beta);
            const float value =
                *static_cast<const float*>(alpha) * scale * sum + (kept != 0 ? kept * element(c, *lc, i, j) : 0);
            const uint64_t at = i + j * static_cast<uint64_t>(ld->ld);
            if (ld->type == lt::ElementType::f32) static_cast<float*>(d)[at] = value;
            else static_cast<uint16_t*>(d)[at] = atelier::float_to_bf16(value);
        }
    return Status::success;
}

} // extern "C"
