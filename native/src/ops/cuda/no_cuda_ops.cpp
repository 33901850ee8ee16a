// In place of the CUDA backend where no CUDA compiler was found.
#include "base/error.h"
#include "ops/cuda/cuda_ops.h"

namespace atelier {

std::vector<CudaDevice> cuda_devices() { return {}; }

std::string cuda_build() { return "no CUDA"; }

std::string cuda_identity(int) { return ""; }

void require_cuda_device(int device, bool) {
    fail(ErrorCode::unsupported, "CUDA device ", device,
        ": this build has no CUDA backend. Install CUDA 12 or newer with its compiler nvcc, run npm run setup again, "
        "or "
        "configure native/ with -DATELIER_CUDA=ON and build it again");
}

std::unique_ptr<Ops> make_cuda_ops(int device, bool fp8) {
    require_cuda_device(device, fp8);
    return nullptr;
}

} // namespace atelier
