#include "planning/device_profile.h"
#include "base/error.h"
#include <algorithm>
#include <cctype>

namespace atelier {
namespace {

// tflops: dense bf16 with fp32 sums. terabytes: of device memory a second. host: gigabytes a second over PCIe, as large
// copies reach it. The shares are estimates: what good kernels reach of a chip's figures in products, attention forward
// and backward, memory.
DeviceProfile card(const char* name, double tflops, double terabytes, double host, double products, double attention,
    double attention_bwd, double memory) {
    DeviceProfile p;
    p.name = name;
    p.matrix = tflops * 1e9 * products;
    p.attention = tflops * 1e9 * attention;
    p.attention_bwd = tflops * 1e9 * attention_bwd;
    p.memory = terabytes * 1e9 * memory;
    p.host_copy = host * 1e6;
    p.activations = DType::bf16;
    p.widens = true;
    p.context_bytes = 450'000'000;
    p.workspace_bytes = 103'689'472; // of ops/cuda/workspace.h: a slab of weights, rows, cuBLASLt's own
    return p;
}

} // namespace

double DeviceProfile::time(const OpCost& cost) const {
    const double rate = cost.kind == OpCost::Kind::attention       ? attention
                        : cost.kind == OpCost::Kind::attention_bwd ? attention_bwd
                                                                   : matrix;
    return widening_time(cost) + std::max(cost.flops / rate, cost.bytes / memory);
}

const std::vector<DeviceProfile>& card_profiles() {
    static const std::vector<DeviceProfile> all = {
        card("4090", 165.2, 1.008, 25, 0.85, 0.75, 0.60, 0.87),
        card("3090", 71.0, 0.936, 25, 0.85, 0.75, 0.60, 0.87),
        card("4060ti", 44.1, 0.288, 12.5, 0.85, 0.75, 0.60, 0.87), // eight lanes
        card("h100", 790.0, 3.0, 50, 0.80, 0.50, 0.40, 0.90),
    };
    return all;
}

const DeviceProfile& card_profile(const std::string& name) {
    std::string known;
    for (const DeviceProfile& p : card_profiles()) {
        if (p.name == name) return p;
        known += (known.empty() ? "" : ", ") + p.name;
    }
    fail(ErrorCode::invalid_argument, "no rates of a card \"", name, "\"; choose one of ", known);
}

DeviceProfile profile_of_card(const std::string& name) {
    std::string plain;
    for (const char c : name)
        if (std::isalnum(static_cast<unsigned char>(c)))
            plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    for (const DeviceProfile& p : card_profiles())
        if (plain.find(p.name) != std::string::npos) return p;
    return card_profile(plain.find("h200") != std::string::npos ? "h100" : "3090");
}

const DeviceProfile& host_profile() {
    static const DeviceProfile p = [] {
        DeviceProfile host;
        host.name = "cpu";
        host.matrix = 200e6; // two cores with 512-bit vectors
        host.attention = host.attention_bwd = 100e6;
        host.memory = 20e6;
        return host;
    }();
    return p;
}

} // namespace atelier
