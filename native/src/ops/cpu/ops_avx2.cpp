#define ATELIER_ISA avx2
#define ATELIER_LANES 8
#include "ops/cpu/backend.inl"
