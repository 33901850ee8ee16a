// The weights of one component of a checkpoint (a folder such as `transformer/` or `vae/`): one safetensors file or the
// shards of an index, in any float type, linears optionally pre-quantised to NF4 by bitsandbytes. Everything that
// leaves here has been checked for name, shape, type and finite values; every error names the file and the tensor.
#pragma once
#include "formats/safetensors.h"
#include "tensor/weight.h"
#include <functional>
#include <memory>
#include <set>

namespace atelier {

struct TensorSpec {
    std::string name;
    Shape shape;
};

class WeightSource {
public:
    // One file or the shards of an index, of diffusers or transformers; where there are several, weight_source.cpp says
    // which.
    static WeightSource open(const std::string& dir);
    // A single file, whatever its name.
    static WeightSource open_file(const std::string& path);
    // The same of a file in memory, which must outlive the object; `label` stands for its name in errors.
    static WeightSource parse(std::span<const std::byte> file, const std::string& label);

    // One error that lists every missing, unexpected and wrongly shaped tensor. `ignorable`: names that may be there
    // and are not used.
    void check(const std::vector<TensorSpec>& expected, const std::vector<std::string>& ignorable = {}) const;

    const TensorView* find(const std::string& name) const;
    const TensorView& require(const std::string& name, const Shape& shape) const;

    // As float32, whatever float type is stored; NF4 is dequantised.
    std::vector<float> read_f32(const std::string& name, const Shape& shape) const;
    void read_f32(const std::string& name, const Shape& shape, std::span<float> out) const;
    // The same in order and in pieces of at most `piece` elements, a multiple of 64; with `release` pages are dropped
    // behind the reader, so that a model can be quantised without ever being in memory.
    void for_pieces(const std::string& name, const Shape& shape, int64_t piece,
        const std::function<void(std::span<const float>)>& take, bool release = true) const;
    // The stored bytes as a matrix (f32, f16, bf16, or NF4 when pre-quantised), pointing into the mapping: valid as
    // long as this object or a copy.
    Weight weight(const std::string& name, int64_t rows, int64_t cols) const;
    // The same of a tensor of any shape that is not quantised: shape[0] rows of all that follows.
    Weight dense(const std::string& name, const Shape& shape) const;

    bool prequantized(const std::string& name) const; // stored as NF4 by bitsandbytes
    bool any_prequantized() const;
    Nf4Data nf4(const std::string& name, int64_t rows, int64_t cols) const;

    const std::string& label() const { return label_; } // the folder or file, for messages
    const std::vector<SafetensorsFile>& files() const;
    uint64_t bytes() const; // of all tensors

private:
    struct Contents;
    static WeightSource of(SafetensorsFile file);
    static WeightSource open_shards(const std::string& path);
    const SafetensorsFile& file_of(const std::string& name) const;
    const std::byte* aligned(const TensorView&) const;
    void check_finite(const TensorView&) const;
    const TensorView& companion(const std::string& name, const std::string& suffix, DType, int64_t count) const;

    std::string label_;
    std::shared_ptr<Contents> contents_;
};

} // namespace atelier
