// Values that never change while programs read them: weights, biases, tables. They are made and kept on the host; ops read them where their
// backend's memory is. On the host that is the same place and nothing is copied.
#pragma once
#include "ops/memory.h"
#include "quant/weight.h"
#include "tensor/view.h"
#include <map>
#include <vector>

namespace atelier {

class Constants {
public:
    // below: searched for what is not here (a model's weights, below one program's tables); null: nothing. Both outlive this.
    explicit Constants(Memory& memory, const Constants* below = nullptr) : memory_(memory), below_(below) {}
    ~Constants();
    Constants(const Constants&) = delete;
    Constants& operator=(const Constants&) = delete;

    // Host bytes that outlive this and do not change after place(). Null and empty ones are ignored, a second mention too.
    void add(const void* host, uint64_t bytes);
    void add(const std::vector<float>& values) { add(values.data(), values.size() * sizeof(float)); }
    void add(const Weight& weight);
    // Reserves once and copies everything. resource_exhausted if it does not fit.
    void place();

    // Where ops find what lies at `host`, inside a range that was added; null gives null.
    const void* at(const void* host) const;
    const float* at(const float* host) const { return static_cast<const float*>(at(static_cast<const void*>(host))); }
    View at(View host) const;
    Weight at(Weight host) const;

    uint64_t device_bytes() const { return device_bytes_; } // 0 on the host

private:
    struct Range {
        uint64_t bytes, offset; // from data_
    };
    const Range* find(const std::byte* host, const std::byte*& begin) const;

    Memory& memory_;
    const Constants* below_;
    std::map<const std::byte*, Range> ranges_; // by first byte on the host
    uint64_t device_bytes_ = 0;
    std::byte* data_ = nullptr;
};

} // namespace atelier
