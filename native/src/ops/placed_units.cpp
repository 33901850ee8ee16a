#include "ops/placed_units.h"
#include "base/error.h"
#include <algorithm>
#include <cstring>

namespace atelier {
namespace {

// Of the units that are not resident, the largest.
uint64_t slot_bytes(const UnitPacks& packs, const std::vector<bool>& resident) {
    uint64_t most = 0;
    for (size_t i = 0; i < packs.units.size(); ++i)
        if (!resident[i]) most = std::max(most, packs.units[i].bytes());
    return most;
}

} // namespace

uint64_t PlacedUnits::device_bytes(const UnitPacks& packs, const std::vector<bool>& resident) {
    uint64_t sum = packs.always.bytes() + kStreamSlots * slot_bytes(packs, resident);
    for (size_t i = 0; i < packs.units.size(); ++i)
        if (resident[i]) sum += packs.units[i].bytes();
    return sum;
}

PlacedUnits::PlacedUnits(Memory& memory, const UnitPacks& packs, std::vector<bool> resident)
    : memory_(memory), constants_(memory), resident_(std::move(resident)), streamed_(packs.units.size()) {
    require(resident_.size() == packs.units.size(), ErrorCode::internal, "residence of ", resident_.size(), " units for ", packs.units.size());
    if (memory.on_host()) {
        resident_.assign(resident_.size(), true);
        return;
    }
    slot_bytes_ = slot_bytes(packs, resident_);
    device_bytes_ = device_bytes(packs, resident_);
    device_ = std::make_unique<Arena>(memory, device_bytes_);
    std::byte* next = device_->data();
    const auto place = [&](const ConstantPack& pack) {
        pack.for_each([&](const std::byte* from, uint64_t bytes, uint64_t offset) { memory.upload(next + offset, from, bytes); });
        constants_.put(pack, next);
        next += pack.bytes();
    };
    place(packs.always);
    uint64_t host_bytes = 0;
    int streamed = 0;
    for (size_t i = 0; i < packs.units.size(); ++i) {
        if (resident_[i]) {
            place(packs.units[i]);
            continue;
        }
        streamed_[i] = {streamed++ % kStreamSlots, host_bytes, packs.units[i].bytes()};
        host_bytes += packs.units[i].bytes();
    }
    if (!streamed) return;
    ring_ = next;
    host_ = {static_cast<std::byte*>(memory.reserve_host(host_bytes)), [&memory](std::byte* data) { memory.release_host(data); }};
    for (size_t i = 0; i < packs.units.size(); ++i) {
        if (resident_[i]) continue;
        packs.units[i].for_each([&](const std::byte* from, uint64_t bytes, uint64_t offset) { std::memcpy(host_.get() + streamed_[i].offset + offset, from, bytes); });
        constants_.put(packs.units[i], ring_ + static_cast<uint64_t>(streamed_[i].slot) * slot_bytes_);
    }
}

void PlacedUnits::fetch(size_t unit) const {
    const Streamed& s = streamed_[unit];
    memory_.fetch(s.slot, ring_ + static_cast<uint64_t>(s.slot) * slot_bytes_, host_.get() + s.offset, s.bytes);
}

} // namespace atelier
