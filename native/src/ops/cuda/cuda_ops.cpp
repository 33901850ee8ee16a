#include "ops/cuda/cuda_ops.h"
#include "ops/cuda/backend.h"
#include "ops/cuda/cublaslt_api.h"
#include "ops/cuda/cublaslt_product.h"
#include <charconv>
#include <fstream>
#include <sstream>

namespace atelier {
namespace {

namespace backend = ATELIER_CUDA_NS;

constexpr int kOldestMajor = 8;             // bf16 on tensor cores
constexpr int kFp8Major = 8, kFp8Minor = 9; // fp8 on them

std::string release(int version) { return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

// How many cards there are, or why none can be asked.
int count_cards() {
    int count = 0, driver = 0;
    const cudaError_t error = cudaGetDeviceCount(&count);
    if (error == cudaSuccess && count > 0) return count;
    cudaGetLastError(); // so that no later call reports it again
    require(cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0, ErrorCode::unsupported,
        "CUDA: no NVIDIA driver was found: install one for CUDA ", release(CUDART_VERSION),
        " or newer; in a container, start it with its GPUs (--gpus all)");
    require(error != cudaErrorInsufficientDriver, ErrorCode::unsupported, "CUDA: the driver is for CUDA ",
        release(driver), ", which is too old for this build: install one for CUDA ", release(CUDART_VERSION),
        ", or build with an older CUDA");
    fail(ErrorCode::unsupported, "CUDA: there is a driver for CUDA ", release(driver),
        " but no card that can be used: ", cudaGetErrorString(error == cudaSuccess ? cudaErrorNoDevice : error),
        "; CUDA_VISIBLE_DEVICES may hide it");
}

CudaDevice described(int device) {
    cudaDeviceProp properties;
    backend::check(cudaGetDeviceProperties(&properties, device), "asking what the card is");
    return {properties.name, properties.major, properties.minor, properties.totalGlobalMem};
}

// What cuda.cmake built for: "8.0 8.9+", with + what a driver can translate for later cards; empty: not known.
constexpr const char* kCards = ATELIER_CUDA_CARDS;

// Code of 8.0 runs on 8.x from there on; its PTX everywhere from there on.
bool has_code_for(const CudaDevice& card) {
    std::istringstream kinds(kCards);
    bool any = false;
    for (std::string kind; kinds >> kind; any = true) {
        int major = 0, minor = 0;
        const char* const end = kind.data() + kind.size();
        const auto [dot, error] = std::from_chars(kind.data(), end, major);
        if (error == std::errc() && dot != end) std::from_chars(dot + 1, end, minor);
        const bool reaches = card.major > major || (card.major == major && card.minor >= minor);
        if (reaches && (card.major == major || kind.ends_with('+'))) return true;
    }
    return !any;
}

} // namespace

std::vector<CudaDevice> cuda_devices() {
    std::vector<CudaDevice> cards;
    int count = 0;
    try {
        count = count_cards();
    } catch (const Error&) {
        return cards;
    }
    for (int device = 0; device < count; ++device) cards.push_back(described(device));
    return cards;
}

std::string cuda_build() {
    std::string kinds = kCards;
    std::erase(kinds, '+');
    for (size_t at = 0; (at = kinds.find(' ', at)) != std::string::npos; at += 2) kinds.replace(at, 1, ", ");
    return "CUDA " + release(CUDART_VERSION) + (kinds.empty() ? "" : " for " + kinds);
}

std::string cuda_identity(int device) {
    const CudaDevice card = described(device);
    int driver = 0;
    backend::check(cudaDriverGetVersion(&driver), "asking for the driver's version");
    std::ifstream file("/proc/driver/nvidia/version"); // the driver's own release, where the kernel has it
    std::string loaded;
    std::getline(file, loaded);
    return card.name + ", " + std::to_string(card.major) + "." + std::to_string(card.minor) + ", driver for CUDA " +
           release(driver) + (loaded.empty() ? "" : " " + loaded) + ", cuBLASLt " +
           std::to_string(backend::cublaslt::library().version());
}

void require_cuda_device(int device, bool fp8) {
    const int count = count_cards();
    require(device >= 0 && device < count, ErrorCode::unsupported, "CUDA device ", device, " does not exist: there ",
        count == 1 ? "is one card, device 0" : "are devices 0 to " + std::to_string(count - 1));
    const CudaDevice card = described(device);
    require(card.major >= kOldestMajor, ErrorCode::unsupported, "CUDA device ", device, ", ", card.name,
        ", has compute capability ", card.major, ".", card.minor, "; ", kOldestMajor,
        ".0 or newer is needed (GeForce RTX 30, A100 and later): use the CPU");
    require(!fp8 || card.major > kFp8Major || (card.major == kFp8Major && card.minor >= kFp8Minor),
        ErrorCode::unsupported, "CUDA device ", device, ", ", card.name, ", has compute capability ", card.major, ".",
        card.minor, "; fp8 products need ", kFp8Major, ".", kFp8Minor,
        " or newer (GeForce RTX 40, L4, H100 and later): open it as cuda:", device, ", without ,fp8");
    require(has_code_for(card), ErrorCode::unsupported, "CUDA device ", device, ", ", card.name,
        ", has compute capability ", card.major, ".", card.minor, "; this build is for ", cuda_build(),
        ": run npm run setup again on this machine, or configure native/ with -DCMAKE_CUDA_ARCHITECTURES=native");
    backend::cublaslt::library();
}

std::unique_ptr<Ops> make_cuda_ops(int device, bool fp8) {
    require_cuda_device(device, fp8); // what is missing is said before memory is taken
    std::unique_ptr<Ops> ops =
        backend::make_backend(fp8 ? "cuda, fp8" : "cuda", device, {}, DType::bf16, fp8, backend::make_cublaslt_product);
    // A card that this build has no code for shows at the first kernel.
    Memory& memory = ops->memory();
    void* const scratch = memory.reserve(sizeof(float));
    ops->fill({scratch, 1, 1, 1}, 0);
    memory.release(scratch);
    return ops;
}

} // namespace atelier
