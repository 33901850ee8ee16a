#include "base/machine_memory.h"
#include <algorithm>
#include <fstream>
#include <unistd.h>

namespace atelier {

uint64_t machine_memory(const std::string& control_groups) {
    uint64_t bytes = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    for (const char* file : {"/memory.max", "/memory/memory.limit_in_bytes"}) { // version 2, version 1
        std::ifstream in(control_groups + file);
        uint64_t limit = 0;
        if (in >> limit) bytes = std::min(bytes, limit); // "max" is no number: no limit
    }
    return bytes;
}

} // namespace atelier
