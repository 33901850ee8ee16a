#pragma once
#include "atelier/device.h"
#include "atelier/types.h"

namespace atelier {

// A diffusion transformer with frozen weights, of any family that models/registry.cpp knows. Loaded once, shared by
// trainers and samplers.
class Transformer {
public:
    // dir: the `transformer` folder. cache_dir: where a quantised copy is kept by fingerprint and mapped from ("" = no
    // cache).
    static std::shared_ptr<Transformer> load(std::shared_ptr<Device>, const std::string& dir, BaseQuant,
        const std::string& cache_dir = "", const EngineProgress& = {});
    ~Transformer();
    const TransformerDims& dims() const;
    const std::vector<LinearModule>& modules() const;
    uint64_t weight_bytes() const;
    struct Impl;
    static std::shared_ptr<Transformer> of(std::unique_ptr<Impl>); // for whoever brings other weights
    std::unique_ptr<Impl> impl;
private:
    Transformer();
};

TransformerDims transformer_dims(const std::string& dir); // of a checkpoint's transformer, from its config.json alone

} // namespace atelier
