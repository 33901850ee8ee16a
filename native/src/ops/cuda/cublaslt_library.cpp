#include "base/error.h"
#include "ops/cuda/cublaslt_api.h"
#include <cstdlib>
#include <dlfcn.h>
#include <string>
#include <vector>

namespace atelier::ATELIER_CUDA_NS::cublaslt {
namespace {

std::vector<std::string> places() {
    const char* named = std::getenv("ATELIER_CUBLASLT");
    if (named && *named) return {named};
    return {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so", "/usr/local/cuda/lib64/libcublasLt.so"};
}

template <class Function>
void find(void* file, const std::string& place, const char* name, Function& function) {
    void* const symbol = dlsym(file, name);
    require(symbol, ErrorCode::unsupported, "cuBLASLt: ", place, " has no ", name,
        ": it is too old or something else; install cuBLAS of CUDA 12 or newer, or name its ",
        "libcublasLt.so in ATELIER_CUBLASLT");
    function = reinterpret_cast<Function>(symbol);
}

Library load() {
    std::string tried;
    for (const std::string& place : places()) {
        void* const file = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL);
        if (!file) {
            const char* reason = dlerror();
            tried += (tried.empty() ? "" : "; ") + (reason ? std::string(reason) : place);
            continue;
        }
        Library found;
#define X(ours, theirs, result, parameters) find(file, place, #theirs, found.ours);
        ATELIER_CUBLASLT_FUNCTIONS(X)
#undef X
        return found;
    }
    fail(ErrorCode::unsupported, "cuBLASLt, which multiplies matrices on a card, was not found: ", tried,
        ". Install cuBLAS of CUDA 12 or newer, or name its libcublasLt.so in the environment variable "
        "ATELIER_CUBLASLT");
}

} // namespace

const Library& library() {
    static const Library loaded = load(); // a failure is tried again by the next call
    return loaded;
}

} // namespace atelier::ATELIER_CUDA_NS::cublaslt
