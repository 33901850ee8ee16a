// Every backend this machine can run, a card's where there is one: one test serves them all.
#pragma once
#include "base/error.h"
#include "base/half.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/emulated_cuda.h"
#include "ops/host_facing.h"
#include "support.h"
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace atelier::test {

enum class Workspaces { usual, cramped_too };

inline std::vector<std::unique_ptr<Ops>> backends(Workspaces workspaces = Workspaces::cramped_too) {
    std::vector<std::unique_ptr<Ops>> all;
    for (const char* isa : {"portable", "avx2", "avx512"})
        for (int threads : {1, 3}) {
            try {
                all.push_back(make_cpu_ops({threads, isa}));
            } catch (const Error& e) {
                if (e.code() != ErrorCode::unsupported) throw; // a machine without this instruction set
            }
        }
    for (const DType activations : {DType::f32, DType::bf16})
        for (const bool cramped : {false, true})
            if (!cramped || workspaces == Workspaces::cramped_too)
                all.push_back(host_facing(make_emulated_cuda_ops({cramped, activations})));
    if (!cuda_devices().empty()) all.push_back(host_facing(make_cuda_ops(0)));
    return all;
}

// Whether this machine's first card multiplies fp8.
inline bool card_has_fp8() {
    const std::vector<CudaDevice> cards = cuda_devices();
    return !cards.empty() && 10 * cards[0].major + cards[0].minor >= 89;
}

// A matrix of activations as the backend keeps it, so that references start from the numbers that it starts from.
inline Matrix kept(Ops& ops, const Matrix& m) { return ops.activations() == DType::bf16 ? HalfMatrix(m).wide() : m; }

// What a backend may be off by because it keeps a result in its own type, beside `fp32` for its arithmetic: bf16 has
// eight significant bits, so rounding to nearest moves a value by at most 2^-8 of itself, and each result is rounded
// once.
inline double tolerance(Ops& ops, double fp32) { return ops.activations() == DType::bf16 ? fp32 + 1.0 / 256 : fp32; }

// What a matrix product of the backend makes of an operand: a card's are bf16. References round where it rounds, so
// that one tolerance holds.
inline double operand(Ops& ops, float value) {
    return ops.memory().on_host() ? value : bf16_to_float(float_to_bf16(value));
}

// What an internal error says that the call ends in; empty if it ends in none. Other errors go on.
template <class F>
std::string refusal(F&& call) {
    try {
        call();
    } catch (const Error& e) {
        if (e.code() != ErrorCode::internal) throw;
        return e.what();
    }
    return {};
}

} // namespace atelier::test
