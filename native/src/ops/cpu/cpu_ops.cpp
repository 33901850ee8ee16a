#include "ops/cpu/cpu_ops.h"
#include "base/error.h"
#include <sched.h>
#include <thread>

namespace atelier {

namespace portable {
std::unique_ptr<Ops> make_ops(int threads);
}
#if defined(__x86_64__)
namespace avx2 {
std::unique_ptr<Ops> make_ops(int threads);
}
namespace avx512 {
std::unique_ptr<Ops> make_ops(int threads);
}
#endif

namespace {

int usable_cores() { // what taskset or a container leaves us, not what the machine has
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0) return CPU_COUNT(&set);
    const unsigned cores = std::thread::hardware_concurrency();
    return cores ? static_cast<int>(cores) : 1;
}

bool machine_has(const std::string& isa) {
#if defined(__x86_64__)
    if (isa == "avx512")
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw");
    if (isa == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
    return isa == "portable";
}

} // namespace

std::unique_ptr<Ops> make_cpu_ops(const CpuOptions& options) {
    require(options.threads >= 0 && options.threads <= 1024, ErrorCode::invalid_argument, "threads: ", options.threads,
        " is not between 0 (all cores) and 1024");
    const int threads = options.threads ? options.threads : usable_cores();
    std::string isa = options.isa;
    if (isa == "auto") isa = machine_has("avx512") ? "avx512" : machine_has("avx2") ? "avx2" : "portable";
    require(isa == "portable" || isa == "avx2" || isa == "avx512", ErrorCode::invalid_argument, "isa: '", isa,
        "' is unknown; use auto, portable, avx2 or avx512");
    require(machine_has(isa), ErrorCode::unsupported, "isa: this processor has no ", isa, "; use auto");
#if defined(__x86_64__)
    if (isa == "avx512") return avx512::make_ops(threads);
    if (isa == "avx2") return avx2::make_ops(threads);
#endif
    return portable::make_ops(threads);
}

} // namespace atelier
