// The machine that everything else computes on.
#pragma once
#include "atelier/error.h"
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace atelier {

// A machine to compute on, shared by the models loaded on it.
class Device {
public:
    // isa: "auto", "portable", "avx2", "avx512"; threads 0 = all cores.
    static std::shared_ptr<Device> cpu(int threads = 0, const std::string& isa = "auto");
    // A card, by CUDA's number. fp8: linears of NF4 weights multiply in e4m3, for speed; needs compute capability 8.9.
    // unsupported, with the reason and what to do, where it cannot be used.
    static std::shared_ptr<Device> cuda(int index = 0, bool fp8 = false);
    // "cpu"; "cuda" or "cuda:N", either followed by ",fp8" if wanted; or "auto": the first card that can be used,
    // without fp8, else the CPU. threads and isa apply to the CPU. For any other text invalid_argument, which lists
    // these forms.
    static std::shared_ptr<Device> open(const std::string& which, int threads = 0, const std::string& isa = "auto");
    ~Device();
    std::string description() const; // "cpu avx2, 2 threads"; "cuda: NVIDIA GeForce RTX 4090, 24 GB", with ", fp8
                                     // products" at its end where those are on
    struct Impl;
    static std::shared_ptr<Device> of(std::unique_ptr<Impl>); // for whoever brings another backend
    std::unique_ptr<Impl> impl;
private:
    Device();
};

struct CudaCard {
    std::string name; // "NVIDIA GeForce RTX 4090, 24 GB"
    uint64_t bytes = 0; // of memory, in all
    // What every process that computes on it takes of that beside its models, as plans count it.
    uint64_t context_bytes = 0; // the driver's
    uint64_t workspace_bytes = 0; // the engine's
};
// Those that CUDA sees, by number. Empty without a driver, a card, or CUDA in this build.
std::vector<CudaCard> cuda_cards();

// What opening a device would give, without opening it: nothing is taken on a card.
struct DeviceOutlook {
    std::string build; // what of CUDA is in this engine: "CUDA 13.0 for 8.0, 8.9", or "no CUDA"
    int card = -1; // CUDA's number; -1: the CPU
    std::string description; // "cuda: NVIDIA GeForce RTX 4090, 24 GB"; "cpu"
    uint64_t bytes = 0; // of the card's memory
    std::string refusal; // of a named card: why it cannot be had. of auto: why none is taken. empty: it can be
};
// `which` as Device::open takes it; invalid_argument for anything else.
DeviceOutlook device_outlook(const std::string& which);

} // namespace atelier
