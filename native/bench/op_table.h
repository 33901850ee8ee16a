// Work as its recorded program has it, op by op: what each is called so often, launches, moves and multiplies, and on a
// device that ran it, how long it takes.
#pragma once
#include "program/program.h"
#include <map>
#include <string>
#include <vector>

namespace atelier::bench {

struct Tally {
    int64_t count = 0; // ops, or a kernel's launches
    int64_t launches = 0;
    double bytes = 0, flops = 0, ms = 0;

    void add(const Tally& other) {
        count += other.count, launches += other.launches;
        bytes += other.bytes, flops += other.flops, ms += other.ms;
    }
};

struct OpTable {
    std::map<std::string, Tally> ops;
    std::map<std::pair<std::string, std::string>, Tally> kernels; // by op and kernel

    // An op that computes; what only waits or names matrices is left out.
    void add(const Program::Op& op, double ms = 0);
    Tally total() const;
    // The ops by bytes, largest first, each with its kernels below it; milliseconds where any were measured.
    void print(const std::string& title) const;
};

} // namespace atelier::bench
