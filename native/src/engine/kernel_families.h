// What a card's kernels are tried on: every family at sizes that are odd, and at FLUX.1's.
#pragma once
#include "ops/cuda/plain_forms.h"
#include "ops/ops.h"
#include <optional>
#include <span>

namespace atelier {

// Both backends, and how far sizes go.
struct KernelTrial {
    Ops &card, &cpu;
    bool real; // FLUX.1's sizes too
    bool fp8;  // whether products of NF4 weights are fp8's
};

struct KernelFamily {
    const char* name;
    double (*error)(KernelTrial&); // the largest difference over the largest value; infinite for what is no number
    double allowed;
    std::optional<PlainForms::Fast> fast; // where something else does the same
    const char* instead = "";
};

std::span<const KernelFamily> kernel_families();

} // namespace atelier
