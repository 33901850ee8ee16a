#define ATELIER_ISA portable
#define ATELIER_LANES 4
#include "ops/cpu/backend.inl"
