// The text encoders.
#pragma once
#include "atelier/device.h"
#include "atelier/types.h"

namespace atelier {

class ClipText {
public:
    static std::shared_ptr<ClipText> load(std::shared_ptr<Device>, const std::string& dir, const EngineProgress& = {});
    ~ClipText();
    struct Output {
        Tensor pooled, last_hidden_state;
    }; // (d), (S, d)
    Output encode(std::span<const int32_t> ids);
    // Bytes of the device: the weights', from the first use on, and beside them, while it is encoded, those of a text
    // of so many tokens.
    uint64_t weight_bytes() const;
    uint64_t encode_bytes(int64_t tokens) const;
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    ClipText();
};

class T5Text {
public:
    // memory_budget: bytes of a card that it may take; layers that do not fit are fetched for each pass. 0: what is
    // free at the first caption.
    static std::shared_ptr<T5Text> load(
        std::shared_ptr<Device>, const std::string& dir, const EngineProgress& = {}, uint64_t memory_budget = 0);
    ~T5Text();
    // The ids of any number of captions -> (S, d) of each, the same bits whatever stands beside it. Neighbours of one
    // length share a pass over layers that are fetched, as many as the memory holds, 16 at most. Progress is reported
    // after each pass. invalid_argument names a bad caption's place.
    std::vector<Tensor> encode(std::span<const std::vector<int32_t>> captions, const EngineProgress& = {});
    // Bytes of the device where all layers fit there: the weights', from the first use on, and beside them, while it is
    // encoded, those of a caption of so many tokens. Where they do not fit, memory_budget bounds both.
    uint64_t weight_bytes() const;
    uint64_t encode_bytes(int64_t tokens) const;
    struct Impl;
    std::unique_ptr<Impl> impl;
private:
    T5Text();
};

} // namespace atelier
