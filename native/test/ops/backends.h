// Every backend this machine can run, a card's where there is one: one test serves them all.
#pragma once
#include "base/error.h"
#include "base/half.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/cuda/cuda_ops.h"
#include "ops/emulated_cuda.h"
#include "ops/host_facing.h"
#include <algorithm>
#include <memory>
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
    all.push_back(host_facing(make_emulated_cuda_ops()));
    if (workspaces == Workspaces::cramped_too) all.push_back(host_facing(make_emulated_cuda_ops(true)));
    if (!cuda_devices().empty()) all.push_back(host_facing(make_cuda_ops(0)));
    return all;
}

// What a matrix product of the backend makes of an operand: a card's are bf16. References round where it rounds, so that one tolerance holds.
inline double operand(Ops& ops, float value) { return ops.memory().on_host() ? value : bf16_to_float(float_to_bf16(value)); }

// Attention on tensor cores also narrows what it computes on the way (probabilities, their gradients), which no rounded input repeats: each
// operand is off by at most 2^-9 of itself, a product by 2^-8, here taken of the largest sum.
inline double flash_tolerance(Ops& ops, double fp32) { return ops.memory().on_host() ? fp32 : std::max(fp32, 1.0 / 256); }

} // namespace atelier::test
