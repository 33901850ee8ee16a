// Ops over host matrices for tests: what an op reads is copied to where the backend keeps its memory, what it writes is
// copied back. Activations may be fp32 on the host whatever the backend keeps: they are rounded on the way there.
// Matrices of another type go as they are.
#pragma once
#include "ops/ops.h"
#include <memory>

namespace atelier::test {

std::unique_ptr<Ops> host_facing(std::unique_ptr<Ops> inner);

} // namespace atelier::test
