// Milliseconds of each op of a program that runs: the host's where ops are done when they return, a card's own events
// where they are only begun.
#pragma once
#include "memory/memory.h"
#include <memory>
#include <vector>

namespace atelier::bench {

class OpClock {
public:
    virtual ~OpClock() = default;
    virtual void mark() = 0; // before each op, and after the last
    virtual std::vector<double> milliseconds() = 0; // between the marks; waits for what was begun
};

std::unique_ptr<OpClock> op_clock(Memory& memory);

} // namespace atelier::bench
