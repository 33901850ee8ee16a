// How long each op of a micro-step takes on a device, beside what it moves and multiplies.
#pragma once
#include "bench_model.h"

namespace atelier::bench {

struct MeasuredStep {
    int64_t rank = 4, accumulation = 1;
    int runs = 5; // of which each op's median counts
};
// A micro-step with everything kept and every weight on the device. Prints its table.
void print_ops(Transformer& model, const Shape& shape, const MeasuredStep&);

} // namespace atelier::bench
