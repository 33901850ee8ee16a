// In place of the CUDA backend where no CUDA compiler was found.
#include "base/error.h"
#include "ops/cuda/cuda_ops.h"

namespace atelier {

std::vector<CudaDevice> cuda_devices() { return {}; }

std::unique_ptr<Ops> make_cuda_ops(int device, bool) {
    fail(ErrorCode::unsupported, "CUDA device ", device,
        ": this build has no CUDA backend. Install CUDA 12 or newer with its compiler nvcc, configure native/ with "
        "-DATELIER_CUDA=ON and build it again");
}

} // namespace atelier
