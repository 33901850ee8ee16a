#include "driver.h"
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

std::string kind() {
    const char* said = std::getenv("EMULATED_CARD");
    return said && *said ? said : "8.9";
}

} // namespace

cudaError_t cudaGetDeviceCount(int* count) {
    *count = 0;
    if (kind() == "none") return cudaErrorNoDevice;
    if (kind() == "no driver" || kind() == "old driver") return cudaErrorInsufficientDriver;
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
    *version = kind() == "no driver" ? 0 : kind() == "old driver" ? 11080 : CUDART_VERSION; // 0: as CUDA says it
    return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
    if (device != 0) return cudaErrorInvalidValue;
    *properties = {"Emulated card", 0, 0, 0};
    if (std::sscanf(kind().c_str(), "%d.%d", &properties->major, &properties->minor) != 2) return cudaErrorInvalidValue;
    size_t free = 0;
    return cudaMemGetInfo(&free, &properties->totalGlobalMem);
}

cudaError_t cudaGetLastError() { return cudaSuccess; }
