#pragma once
#include "atelier/device.h"
#include "atelier/types.h"

namespace atelier {

class Vae {
public:
    static std::shared_ptr<Vae> load(std::shared_ptr<Device>, const std::string& dir, const EngineProgress& = {});
    ~Vae();
    struct Posterior {
        Tensor mean, logvar;
    }; // (16, H/8, W/8)
    Posterior encode(std::span<const float> image, int64_t height, int64_t width); // (3, H, W) in -1..1
    Tensor decode(std::span<const float> latents, int64_t h,
        int64_t w); // (16, h, w), already divided by scaling and shifted -> (3, 8h, 8w)
    Tensor decode_packed(
        const Tensor& packed, int64_t height, int64_t width); // (S_img, 64) from the sampler -> (3, H, W)
    float scaling_factor() const;
    float shift_factor() const;
    // Bytes of the device: the weights', from the first use on, and beside them, while it is encoded or decoded, those
    // of a picture of height x width pixels.
    uint64_t weight_bytes() const;
    uint64_t encode_bytes(int64_t height, int64_t width) const;
    uint64_t decode_bytes(int64_t height, int64_t width) const;
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    Vae();
};

} // namespace atelier
