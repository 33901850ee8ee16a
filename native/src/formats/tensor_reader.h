// Loads a model's weights in one description: the same function runs twice, first to list every tensor it will want, so
// that all missing, unexpected and misshapen ones are reported together, then to read them.
#pragma once
#include "formats/weight_source.h"

namespace atelier {

class TensorReader {
public:
    // describe(reader) asks for every tensor of the model; its results are empty during the first of its two runs.
    template <class Describe>
    static void load(const WeightSource& source, const std::vector<std::string>& ignorable, Describe&& describe) {
        TensorReader listing(source, true);
        describe(listing);
        source.check(listing.specs_, ignorable);
        TensorReader reading(source, false);
        describe(reading);
    }

    std::vector<float> values(const std::string& name, const Shape& shape) {
        if (!listing_) return source_.read_f32(name, shape);
        specs_.push_back({name, shape});
        return {};
    }
    // Stays in the mapping, in the type it has there.
    Weight matrix(const std::string& name, int64_t rows, int64_t cols) {
        if (!listing_) return source_.weight(name, rows, cols);
        specs_.push_back({name, {rows, cols}});
        return {};
    }

    // The same of a convolution: shape[0] rows.
    Weight kernel(const std::string& name, const Shape& shape) {
        if (!listing_) return source_.dense(name, shape);
        specs_.push_back({name, shape});
        return {};
    }

private:
    TensorReader(const WeightSource& source, bool listing) : source_(source), listing_(listing) {}
    const WeightSource& source_;
    bool listing_;
    std::vector<TensorSpec> specs_;
};

} // namespace atelier
