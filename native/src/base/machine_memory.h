// How much memory this process may have.
#pragma once
#include <cstdint>
#include <string>

namespace atelier {

// Bytes of the machine, or of its control group where that allows less, as a container's does. control_groups: where
// the kernel tells.
uint64_t machine_memory(const std::string& control_groups = "/sys/fs/cgroup");

} // namespace atelier
