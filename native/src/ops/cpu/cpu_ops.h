// The CPU backend: the embedded default. One source, compiled for several instruction sets and chosen when it is made.
#pragma once
#include "ops/ops.h"
#include <memory>
#include <string>

namespace atelier {

struct CpuOptions {
    int threads = 0;          // 0: all cores this process may use
    std::string isa = "auto"; // auto, portable, avx2, avx512
};

// Throws Error (invalid_argument, unsupported) for an instruction set that is unknown or that this machine lacks.
std::unique_ptr<Ops> make_cpu_ops(const CpuOptions& options = {});

} // namespace atelier
