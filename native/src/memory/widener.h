// What a backend does for NF4 weights that are kept on its device as its products take them.
#pragma once
#include "tensor/weight.h"

namespace atelier {

class Widener {
public:
    virtual ~Widener() = default;
    // The weight, which lies on the host, as dense bf16 at `to`, device memory on 16 bytes: rows x cols, row-major, the
    // very bits that linears multiply. In the order of the ops, over the backend's workspace and no memory beside it.
    // unsupported where the weight exceeds the workspace.
    virtual void widen(const Weight& on_host, void* to) = 0;
};

} // namespace atelier
