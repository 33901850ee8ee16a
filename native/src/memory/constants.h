// Values that never change while programs read them: weights, biases, tables. They are made and kept on the host; ops
// read them where their backend's memory is. On the host that is the same place and nothing is copied.
#pragma once
#include "memory/memory.h"
#include "tensor/view.h"
#include "tensor/weight.h"
#include <map>
#include <span>
#include <vector>

namespace atelier {

// Bytes that a weight takes in a ConstantPack, from its sizes and format alone.
uint64_t packed_bytes(const Weight& weight);
constexpr uint64_t packed_bytes(uint64_t bytes) {
    return (bytes + 63) / 64 * 64;
} // of each range: vector loads of any width
// The same of an NF4 weight that is kept as dense bf16.
constexpr uint64_t widened_bytes(const Weight& weight) {
    return packed_bytes(2 * static_cast<uint64_t>(weight.rows * weight.cols));
}

// Ranges of host memory and where each lies in one contiguous copy of them.
class ConstantPack {
public:
    // Host bytes that outlive this and do not change. Null and empty ones are ignored, a second mention too.
    void add(const void* host, uint64_t bytes);
    void add(const std::vector<float>& values) { add(values.data(), values.size() * sizeof(float)); }
    // Without the code table that all double-quantised weights of the engine share: shared_code() is added once by
    // whoever packs them.
    void add(const Weight& weight);
    static std::span<const float> shared_code();

    uint64_t bytes() const { return bytes_; }
    // f(host, bytes, offset)
    template <class F>
    void for_each(F&& f) const {
        for (const auto& [host, range] : ranges_) f(host, range.bytes, range.offset);
    }

    // Another copy of the same, with each NF4 weight as dense bf16: stays(host, bytes, offset) for all else, then
    // dense(weight, offset).
    uint64_t widened_bytes() const;
    template <class F, class G>
    void for_each_widened(F&& stays, G&& dense) const {
        uint64_t offset = 0;
        for (const auto& [host, range] : ranges_) {
            if (range.nf4) continue;
            stays(host, range.bytes, offset);
            offset += packed_bytes(range.bytes);
        }
        for (const Weight& weight : nf4_) {
            dense(weight, offset);
            offset += atelier::widened_bytes(weight);
        }
    }

private:
    struct Range {
        uint64_t bytes, offset;
        bool nf4; // part of a weight of that format
    };
    bool add(const void* host, uint64_t bytes, bool nf4); // whether it was not there yet

    std::map<const std::byte*, Range> ranges_;
    std::vector<Weight> nf4_;
    uint64_t bytes_ = 0;
};

// The table from host addresses to those that ops read.
class Constants {
public:
    // below: searched in order for what is not here (a model's weights, below one program's tables); all outlive this.
    explicit Constants(Memory& memory, std::vector<const Constants*> below = {})
        : memory_(memory), below_(std::move(below)) {}
    ~Constants();
    Constants(const Constants&) = delete;
    Constants& operator=(const Constants&) = delete;

    // As ConstantPack's.
    void add(const void* host, uint64_t bytes);
    void add(const std::vector<float>& values) { add(values.data(), values.size() * sizeof(float)); }
    void add(const Weight& weight);
    // Reserves once and copies everything that was added. resource_exhausted if it does not fit.
    void place();
    // The pack lies at `device`, or will when an op reads it; its memory is somebody else's.
    void put(const ConstantPack& pack, const std::byte* device);
    // The same of a pack whose NF4 weights lie there widened: at(Weight) gives those as dense bf16.
    void put_widened(const ConstantPack& pack, const std::byte* device);

    // Where ops find what lies at `host`, inside a range that was added; null gives null.
    const void* at(const void* host) const;
    const float* at(const float* host) const { return static_cast<const float*>(at(static_cast<const void*>(host))); }
    View at(View host) const;
    Weight at(Weight host) const;

    uint64_t device_bytes() const { return own_.bytes(); } // of what was added; 0 on the host

private:
    struct Range {
        uint64_t bytes;
        const std::byte* device;
    };
    const std::byte* find(const std::byte* host) const; // null: neither here nor below
    const std::byte* find_widened(const uint8_t* packed) const;

    Memory& memory_;
    std::vector<const Constants*> below_;
    ConstantPack own_;
    std::map<const std::byte*, Range> ranges_; // by first byte on the host
    std::map<const uint8_t*, const std::byte*> widened_; // by an NF4 weight's packed values
    std::byte* data_ = nullptr;
};

} // namespace atelier
