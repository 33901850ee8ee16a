// Names of functions of this program by their addresses, also of those that no library exports: what binutils' nm says.
#pragma once
#include <cstdint>
#include <map>
#include <string>

namespace atelier::bench {

class KernelNames {
public:
    KernelNames();
    std::string of(const void* function) const; // "map_kernel"; its address where nm is not installed

private:
    std::map<uintptr_t, std::string> names_;
    uintptr_t base_ = 0;
};

} // namespace atelier::bench
