// The driver's half of the stand-in, for cuda_ops.cpp: which cards there are. One, of compute capability 8.9, unless
// the environment's EMULATED_CARD says otherwise: "none", "no driver", "old driver", or another capability, as "7.5".
#pragma once
#include "device_memory.h"

constexpr int CUDART_VERSION = 13000;

struct cudaDeviceProp {
    char name[256];
    int major, minor;
    size_t totalGlobalMem;
};
cudaError_t cudaGetDeviceCount(int*);
cudaError_t cudaDriverGetVersion(int*);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp*, int);
cudaError_t cudaGetLastError();
