// Every backend this machine can run: one test serves them all.
#pragma once
#include "base/error.h"
#include "ops/cpu/cpu_ops.h"
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
    return all;
}

} // namespace atelier::test
