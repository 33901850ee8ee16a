// Every backend this machine can run: one test serves them all.
#pragma once
#include "base/error.h"
#include "ops/cpu/cpu_ops.h"
#include "ops/emulated_cuda.h"
#include "ops/host_facing.h"
#include <algorithm>
#include <memory>
#include <vector>

namespace atelier::test {

inline std::vector<std::unique_ptr<Ops>> backends() {
    std::vector<std::unique_ptr<Ops>> all;
    for (const char* isa : {"portable", "avx2", "avx512"})
        for (int threads : {1, 3}) {
            try {
                all.push_back(make_cpu_ops({threads, isa}));
            } catch (const Error& e) {
                if (e.code() != ErrorCode::unsupported) throw; // a machine without this instruction set
            }
        }
    for (const bool cramped : {false, true}) all.push_back(host_facing(make_emulated_cuda_ops(cramped)));
    return all;
}

// A card's matrix products narrow both operands to bf16: each rounds by at most 2^-9 of itself, so a product by 2^-8, and a sum of products by
// that share of its terms, which is taken of the largest sum. On the CPU `fp32` holds.
inline double product_tolerance(Ops& ops, double fp32) { return ops.memory().on_host() ? fp32 : std::max(fp32, 1.0 / 256); }

} // namespace atelier::test
