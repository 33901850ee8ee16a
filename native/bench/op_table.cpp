#include "op_table.h"
#include <algorithm>
#include <cstdio>

namespace atelier::bench {

void OpTable::add(const Program::Op& op, double ms) {
    const OpCost cost = op.cost();
    ops[op.name()].add({1, 0, cost.bytes + cost.widening, cost.flops, ms});
}

Tally OpTable::total() const {
    Tally all;
    for (const auto& [name, tally] : ops) all.add(tally);
    return all;
}

void OpTable::print(const std::string& title) const {
    const Tally all = total();
    const bool timed = all.ms > 0, launched = all.launches > 0;
    const auto line = [&](const std::string& name, const Tally& t, bool kernel) {
        std::printf("%-46s", name.c_str());
        if (kernel) std::printf(" %7s", "");
        else std::printf(" %7lld", static_cast<long long>(t.count));
        if (launched) std::printf(" %9lld", static_cast<long long>(t.launches));
        std::printf(" %9.3f %10.4f", 1e-9 * t.bytes, 1e-12 * t.flops);
        if (timed && !kernel) std::printf(" %10.3f %8.1f %8.1f", t.ms, 1e-9 * t.flops / t.ms, 1e-6 * t.bytes / t.ms);
        std::printf("\n");
    };
    std::printf("%s\n%-46s %7s", title.c_str(), launched ? "op, and its kernels" : "op", "ops");
    if (launched) std::printf(" %9s", "launches");
    std::printf(" %9s %10s", "GB", "TFLOP");
    if (timed) std::printf(" %10s %8s %8s", "ms", "TFLOP/s", "GB/s");
    std::printf("\n");
    std::vector<std::pair<std::string, Tally>> sorted(ops.begin(), ops.end());
    std::stable_sort(sorted.begin(), sorted.end(), [&](const auto& a, const auto& b) {
        return timed ? a.second.ms > b.second.ms : a.second.bytes > b.second.bytes;
    });
    for (const auto& [name, tally] : sorted) {
        line(name, tally, false);
        for (const auto& [key, kernel] : kernels)
            if (key.first == name) line("  " + key.second, kernel, true);
    }
    line("all", all, false);
    std::printf("\n");
    std::fflush(stdout);
}

} // namespace atelier::bench
