#include "ops/constants.h"
#include "base/error.h"
#include <algorithm>

namespace atelier {
namespace {

constexpr uint64_t kAlignment = 64; // of each range: vector loads of any width

uint64_t pieces(uint64_t count, uint64_t each) { return (count + each - 1) / each; }
uint64_t dense_bytes(const Weight& w) { return static_cast<uint64_t>(w.rows * w.cols) * (w.format == WeightFormat::f32 ? 4 : 2); }

} // namespace

Constants::~Constants() {
    if (data_) memory_.release(data_);
}

void Constants::add(const void* host, uint64_t bytes) {
    if (!host || !bytes || memory_.on_host()) return;
    require(!data_, ErrorCode::internal, "a constant is added after they were placed");
    const auto [it, fresh] = ranges_.try_emplace(static_cast<const std::byte*>(host), Range{bytes, device_bytes_});
    if (fresh) device_bytes_ += pieces(bytes, kAlignment) * kAlignment;
    else require(it->second.bytes == bytes, ErrorCode::internal, "one constant of two sizes: ", it->second.bytes, " and ", bytes, " bytes");
}

void Constants::add(const Weight& w) {
    if (w.format != WeightFormat::nf4) return add(w.dense, dense_bytes(w));
    const uint64_t count = static_cast<uint64_t>(w.rows * w.cols), blocks = pieces(count, Nf4Data::kBlock);
    add(w.nf4.packed, pieces(count, 2));
    add(w.nf4.absmax, blocks * sizeof(float));
    add(w.nf4.absmax8, blocks);
    add(w.nf4.nested_absmax, pieces(blocks, Nf4Data::kNestedBlock) * sizeof(float));
    add(w.nf4.nested_code, 256 * sizeof(float));
}

void Constants::place() {
    if (ranges_.empty() || data_) return;
    data_ = static_cast<std::byte*>(memory_.reserve(device_bytes_));
    for (const auto& [host, range] : ranges_) memory_.upload(data_ + range.offset, host, range.bytes);
}

const Constants::Range* Constants::find(const std::byte* host, const std::byte*& begin) const {
    auto it = ranges_.upper_bound(host);
    if (it == ranges_.begin()) return nullptr;
    --it;
    begin = it->first;
    return host < it->first + it->second.bytes ? &it->second : nullptr;
}

const void* Constants::at(const void* host) const {
    if (!host || memory_.on_host()) return host;
    const std::byte *wanted = static_cast<const std::byte*>(host), *begin = nullptr;
    for (const Constants* level = this; level; level = level->below_)
        if (const Range* range = level->find(wanted, begin)) {
            require(level->data_, ErrorCode::internal, "constants are read before they were placed");
            return level->data_ + range->offset + (wanted - begin);
        }
    fail(ErrorCode::internal, "an op reads a constant that was never placed in the device's memory");
}

View Constants::at(View host) const {
    host.data = const_cast<void*>(at(static_cast<const void*>(host.data))); // ops only read it
    return host;
}

Weight Constants::at(Weight w) const {
    w.dense = at(w.dense);
    w.nf4.packed = static_cast<const uint8_t*>(at(static_cast<const void*>(w.nf4.packed)));
    w.nf4.absmax = at(w.nf4.absmax);
    w.nf4.absmax8 = static_cast<const uint8_t*>(at(static_cast<const void*>(w.nf4.absmax8)));
    w.nf4.nested_absmax = at(w.nf4.nested_absmax);
    w.nf4.nested_code = at(w.nf4.nested_code);
    return w;
}

} // namespace atelier
