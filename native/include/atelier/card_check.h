// Whether a card computes what the CPU does: each family of its kernels is tried before it is trusted.
#pragma once
#include "atelier/engine.h"

namespace atelier {

struct KernelFinding {
    std::string family; // "flash attention"
    double error = 0, allowed = 0; // the largest difference, over the largest value; infinite for what is no number
    std::string instead; // what does the same; empty: nothing does
    double error_instead = 0; // of that, where it had to be tried
    bool agrees() const { return error <= allowed; }
    bool usable() const { return agrees() || (!instead.empty() && error_instead <= allowed); }
};

// What a check holds for: the card, its driver, cuBLASLt and this very build of the engine. `which` as Device::open
// takes it; empty on the CPU.
std::string card_identity(const std::string& which);

// Seconds. What disagrees is not used from here on, where something else does the same and agrees. `real`: also at
// sizes of FLUX.1's; too slow for an emulated card.
std::vector<KernelFinding> check_kernels(Device& device, bool real = true, const EngineProgress& progress = {});

// The same for families that an earlier check found wrong; invalid_argument for a name that nothing has.
void avoid_kernels(Device& device, const std::vector<std::string>& families);

} // namespace atelier
