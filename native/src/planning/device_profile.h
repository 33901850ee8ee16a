// The rates that a plan's times are computed with. A model of a machine, from its published figures and the share of
// them that kernels are expected to reach: nothing here was measured on the machine it names.
#pragma once
#include "program/op_cost.h"
#include "tensor/dtype.h"
#include <cstdint>
#include <string>
#include <vector>

namespace atelier {

struct DeviceProfile {
    std::string name;
    double matrix = 0;            // FLOP/ms of large products
    double attention = 0;         // FLOP/ms of attention, forward
    double attention_bwd = 0;     // and backward
    double memory = 0;            // bytes/ms of the device's memory
    double host_copy = 0; // bytes/ms from host memory; 0: the device computes in host memory, weights need no copy
    DType activations = DType::f32; // Ops::activations
    bool widens = false; // whether Ops::widener is there
    uint64_t context_bytes = 0; // what the driver takes before anything is reserved
    uint64_t workspace_bytes = 0; // Ops::workspace_bytes

    // Milliseconds of one op: its products or its bytes, whichever takes longer, after its weight was widened.
    double time(const OpCost& cost) const;
    double widening_time(const OpCost& cost) const { return cost.widening / memory; }
};

const std::vector<DeviceProfile>& card_profiles();
// invalid_argument, with the names there are.
const DeviceProfile& card_profile(const std::string& name);
// The rates that a plan for the card of this name is made with, "NVIDIA GeForce RTX 4090" say: of a profile that it
// names, else of the most modest large card's, which is right in proportion.
DeviceProfile profile_of_card(const std::string& name);
// Rates in proportion only, good for comparing choices on any processor; no time is told from them.
const DeviceProfile& host_profile();

} // namespace atelier
