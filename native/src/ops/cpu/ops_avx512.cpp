#define ATELIER_ISA avx512
#define ATELIER_LANES 16
#include "ops/cpu/backend.inl"
