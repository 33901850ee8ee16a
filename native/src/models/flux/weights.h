// The transformer's frozen weights: read from a checkpoint as they are, quantised as they stream in, mapped from a
// cache of an earlier quantisation, or drawn at random. Owns every byte that its layers point to.
#pragma once
#include "base/mapped_file.h"
#include "base/progress.h"
#include "formats/weight_source.h"
#include "models/flux/layers.h"
#include "quant/nf4.h"
#include <deque>
#include <optional>

namespace atelier {

class FluxWeights {
public:
    // dir: the component's folder. cache_dir: where the quantised copy is kept ("": nowhere). Linears that the
    // checkpoint holds in bitsandbytes' NF4 stay as they are.
    static FluxWeights load(
        const std::string& dir, BaseQuant quant, const std::string& cache_dir, int threads, const Progress& progress);
    // Linears and biases N(0, 0.02), head norms 1; quantised while they are drawn.
    static FluxWeights random(
        const TransformerDims& dims, BaseQuant quant, uint64_t seed, int threads, const Progress& progress);

    const FluxLayers& layers() const { return layers_; }
    uint64_t bytes() const { return bytes_; }
    BaseQuant quant() const { return quant_; }

    // A linear's values before any quantisation of ours where the checkpoint still has them, else what it holds now,
    // widened.
    std::vector<float> original(const std::string& path, const Linear& linear) const;

private:
    explicit FluxWeights(const TransformerDims& dims) : layers_(dims) {}
    void read_small(const WeightSource& source);
    void quantize_from(const WeightSource& source, int threads, const Progress& progress);
    bool read_cache(const std::string& file);
    void write_cache(const std::string& file) const;
    void count_bytes();

    FluxLayers layers_;
    BaseQuant quant_ = BaseQuant::none;
    uint64_t bytes_ = 0;
    std::optional<WeightSource> source_;
    std::optional<SafetensorsFile> cache_;
    std::deque<Nf4Storage> quantized_; // in for_each_linear's order; empty when mapped
    std::deque<std::vector<float>> values_; // biases, head norms, random dense weights
};

// A linear's weight as float32 (out * in), whatever its format.
std::vector<float> widened(const Weight& weight);

} // namespace atelier
