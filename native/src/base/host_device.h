// Marks what a GPU computes too: plain functions for a C++ compiler, host and device functions for nvcc.
#pragma once

// Such functions are static: each instruction set's file keeps its own copy, so that the linker never hands AVX-512
// code to a machine without it.
#ifdef __CUDACC__
#define ATELIER_HD __host__ __device__
#else
#define ATELIER_HD
#endif
