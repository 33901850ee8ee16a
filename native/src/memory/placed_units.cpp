#include "memory/placed_units.h"
#include "base/error.h"
#include <algorithm>
#include <array>
#include <cstring>

namespace atelier {
namespace {

// Of each kind of unit, rare and not, the largest that is fetched.
std::array<uint64_t, 2> slot_bytes(const UnitPacks& packs, const std::vector<Residence>& residence) {
    std::array<uint64_t, 2> most{};
    for (size_t i = 0; i < packs.units.size(); ++i)
        if (residence[i] == Residence::fetched)
            most[i >= packs.rare] = std::max(most[i >= packs.rare], packs.units[i].bytes());
    return most;
}

} // namespace

std::vector<Residence> PlacedUnits::residence_within(
    const Memory& memory, const UnitPacks& packs, uint64_t bytes, const char* what) {
    if (memory.on_host()) return std::vector(packs.units.size(), Residence::resident);
    std::vector<uint64_t> sizes;
    for (const ConstantPack& unit : packs.units) sizes.push_back(unit.bytes());
    return residences(resident_within(bytes - std::min(bytes, packs.always.bytes()), sizes, packs.rare, what));
}

uint64_t PlacedUnits::device_bytes(const UnitPacks& packs, const std::vector<Residence>& residence) {
    const auto [rare, other] = slot_bytes(packs, residence);
    uint64_t sum = packs.always.bytes() + kStreamSlots * (rare + other);
    for (size_t i = 0; i < packs.units.size(); ++i)
        if (residence[i] != Residence::fetched)
            sum += residence[i] == Residence::widened ? packs.units[i].widened_bytes() : packs.units[i].bytes();
    return sum;
}

PlacedUnits::PlacedUnits(Memory& memory, const UnitPacks& packs, std::vector<Residence> residence, Widener* widener)
    : memory_(memory), constants_(memory), residence_(std::move(residence)), streamed_(packs.units.size()) {
    require(residence_.size() == packs.units.size(), ErrorCode::internal, "residence of ", residence_.size(),
        " units for ", packs.units.size());
    if (memory.on_host()) {
        residence_.assign(residence_.size(), Residence::resident);
        return;
    }
    device_bytes_ = device_bytes(packs, residence_);
    device_ = std::make_unique<Arena>(memory, device_bytes_);
    std::byte* next = device_->data();
    const auto place = [&](const ConstantPack& pack) {
        pack.for_each(
            [&](const std::byte* from, uint64_t bytes, uint64_t offset) { memory.upload(next + offset, from, bytes); });
        constants_.put(pack, next);
        next += pack.bytes();
    };
    const auto place_widened = [&](const ConstantPack& pack) {
        require(widener != nullptr, ErrorCode::internal,
            "weights are to be widened for a backend that multiplies them as they are");
        pack.for_each_widened(
            [&](const std::byte* from, uint64_t bytes, uint64_t offset) { memory.upload(next + offset, from, bytes); },
            [&](const Weight& weight, uint64_t offset) { widener->widen(weight, next + offset); });
        constants_.put_widened(pack, next);
        next += pack.widened_bytes();
    };
    place(packs.always);
    for (size_t i = 0; i < packs.units.size(); ++i) {
        if (residence_[i] == Residence::resident) place(packs.units[i]);
        if (residence_[i] == Residence::widened) place_widened(packs.units[i]);
    }

    const std::array<uint64_t, 2> slot = slot_bytes(packs, residence_);
    std::byte* const rings[] = {next, next + kStreamSlots * slot[0]};
    int taken[2] = {};
    uint64_t host_bytes = 0;
    for (size_t i = 0; i < packs.units.size(); ++i) {
        if (residence_[i] != Residence::fetched) continue;
        const int kind = i >= packs.rare, turn = taken[kind]++ % kStreamSlots;
        streamed_[i] = {kind * kStreamSlots + turn,
            rings[kind] + static_cast<uint64_t>(turn) * slot[static_cast<size_t>(kind)], host_bytes,
            packs.units[i].bytes()};
        host_bytes += packs.units[i].bytes();
    }
    if (!host_bytes) return;
    host_ = {static_cast<std::byte*>(memory.reserve_host(host_bytes)),
        [&memory](std::byte* data) { memory.release_host(data); }};
    for (size_t i = 0; i < packs.units.size(); ++i) {
        if (residence_[i] != Residence::fetched) continue;
        packs.units[i].for_each([&](const std::byte* from, uint64_t bytes, uint64_t offset) {
            std::memcpy(host_.get() + streamed_[i].offset + offset, from, bytes);
        });
        constants_.put(packs.units[i], streamed_[i].at);
    }
}

void PlacedUnits::fetch(size_t unit) const {
    const Streamed& s = streamed_[unit];
    memory_.fetch(s.slot, s.at, host_.get() + s.offset, s.bytes);
}

} // namespace atelier
