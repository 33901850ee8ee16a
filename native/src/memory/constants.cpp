#include "memory/constants.h"
#include "base/error.h"
#include "quant/dynamic_map.h"

namespace atelier {
namespace {

uint64_t pieces(uint64_t count, uint64_t each) { return (count + each - 1) / each; }

// f(host, bytes) for what a weight consists of; without values the addresses are null.
template <class F>
void for_each_part(const Weight& w, F&& f) {
    const uint64_t count = static_cast<uint64_t>(w.rows * w.cols), blocks = pieces(count, Nf4Data::kBlock);
    switch (w.format) {
        case WeightFormat::f32: return f(w.dense, 4 * count);
        case WeightFormat::f16:
        case WeightFormat::bf16: return f(w.dense, 2 * count);
        case WeightFormat::nf4: break;
    }
    f(w.nf4.packed, pieces(count, 2));
    if (w.nf4.absmax) return f(w.nf4.absmax, blocks * sizeof(float));
    f(w.nf4.absmax8, blocks);
    f(w.nf4.nested_absmax, pieces(blocks, Nf4Data::kNestedBlock) * sizeof(float));
    if (w.nf4.nested_code && w.nf4.nested_code != ConstantPack::shared_code().data())
        f(w.nf4.nested_code, ConstantPack::shared_code().size_bytes());
}

} // namespace

uint64_t packed_bytes(const Weight& weight) {
    uint64_t sum = 0;
    for_each_part(weight, [&](const void*, uint64_t bytes) { sum += packed_bytes(bytes); });
    return sum;
}

std::span<const float> ConstantPack::shared_code() { return signed_dynamic_map().values; }

void ConstantPack::add(const void* host, uint64_t bytes) { add(host, bytes, false); }

bool ConstantPack::add(const void* host, uint64_t bytes, bool nf4) {
    if (!host || !bytes) return false;
    const auto [it, fresh] = ranges_.try_emplace(static_cast<const std::byte*>(host), Range{bytes, bytes_, nf4});
    if (fresh) bytes_ += packed_bytes(bytes);
    else
        require(it->second.bytes == bytes, ErrorCode::internal, "one constant of two sizes: ", it->second.bytes,
            " and ", bytes, " bytes");
    return fresh;
}

void ConstantPack::add(const Weight& w) {
    const bool nf4 = w.format == WeightFormat::nf4;
    bool fresh = false;
    for_each_part(w, [&](const void* host, uint64_t bytes) { fresh |= add(host, bytes, nf4); });
    if (nf4 && fresh) nf4_.push_back(w);
}

uint64_t ConstantPack::widened_bytes() const {
    uint64_t sum = 0;
    for_each_widened([&](const std::byte*, uint64_t bytes, uint64_t) { sum += packed_bytes(bytes); },
        [&](const Weight& w, uint64_t) { sum += atelier::widened_bytes(w); });
    return sum;
}

Constants::~Constants() {
    if (data_) memory_.release(data_);
}

void Constants::add(const void* host, uint64_t bytes) {
    if (memory_.on_host()) return;
    require(!data_, ErrorCode::internal, "a constant is added after they were placed");
    own_.add(host, bytes);
}

void Constants::add(const Weight& w) {
    if (memory_.on_host()) return;
    require(!data_, ErrorCode::internal, "a constant is added after they were placed");
    own_.add(w);
    if (w.nf4.nested_code) own_.add(ConstantPack::shared_code().data(), ConstantPack::shared_code().size_bytes());
}

void Constants::place() {
    if (!own_.bytes() || data_) return;
    data_ = static_cast<std::byte*>(memory_.reserve(own_.bytes()));
    own_.for_each(
        [&](const std::byte* host, uint64_t bytes, uint64_t offset) { memory_.upload(data_ + offset, host, bytes); });
    put(own_, data_);
}

void Constants::put(const ConstantPack& pack, const std::byte* device) {
    pack.for_each([&](const std::byte* host, uint64_t bytes, uint64_t offset) {
        const bool fresh = ranges_.try_emplace(host, Range{bytes, device + offset}).second;
        require(fresh, ErrorCode::internal, "a constant of ", bytes, " bytes is in two places of the device");
    });
}

void Constants::put_widened(const ConstantPack& pack, const std::byte* device) {
    const auto once = [](bool fresh) {
        require(fresh, ErrorCode::internal, "a constant is in two places of the device");
    };
    pack.for_each_widened(
        [&](const std::byte* host, uint64_t bytes, uint64_t offset) {
            once(ranges_.try_emplace(host, Range{bytes, device + offset}).second);
        },
        [&](const Weight& w, uint64_t offset) { once(widened_.try_emplace(w.nf4.packed, device + offset).second); });
}

const std::byte* Constants::find_widened(const uint8_t* packed) const {
    if (const auto it = widened_.find(packed); it != widened_.end()) return it->second;
    for (const Constants* level : below_)
        if (const std::byte* found = level->find_widened(packed)) return found;
    return nullptr;
}

const std::byte* Constants::find(const std::byte* host) const {
    const auto after = ranges_.upper_bound(host);
    if (after != ranges_.begin()) {
        const auto& [begin, range] = *std::prev(after);
        if (host < begin + range.bytes) return range.device + (host - begin);
    }
    for (const Constants* level : below_)
        if (const std::byte* found = level->find(host)) return found;
    return nullptr;
}

const void* Constants::at(const void* host) const {
    if (!host || memory_.on_host()) return host;
    const std::byte* found = find(static_cast<const std::byte*>(host));
    require(
        found != nullptr, ErrorCode::internal, "an op reads a constant that was never placed in the device's memory");
    return found;
}

View Constants::at(View host) const {
    host.data = const_cast<void*>(at(static_cast<const void*>(host.data))); // ops only read it
    return host;
}

Weight Constants::at(Weight w) const {
    if (w.format == WeightFormat::nf4)
        if (const std::byte* dense = find_widened(w.nf4.packed)) return {WeightFormat::bf16, w.rows, w.cols, dense, {}};
    w.dense = at(w.dense);
    w.nf4.packed = static_cast<const uint8_t*>(at(static_cast<const void*>(w.nf4.packed)));
    w.nf4.absmax = at(w.nf4.absmax);
    w.nf4.absmax8 = static_cast<const uint8_t*>(at(static_cast<const void*>(w.nf4.absmax8)));
    w.nf4.nested_absmax = at(w.nf4.nested_absmax);
    w.nf4.nested_code = at(w.nf4.nested_code);
    return w;
}

} // namespace atelier
