// A model's constants on a device in units (a block's weights, say): some stay there, NF4 weights widened or not, the
// others live in page-locked host memory and pass through a ring of slots while programs run.
#pragma once
#include "memory/arena.h"
#include "memory/constants.h"
#include "memory/residence.h"
#include "memory/stream_schedule.h"
#include "memory/widener.h"
#include <functional>
#include <memory>

namespace atelier {

struct UnitPacks {
    ConstantPack always;             // what belongs to no unit, and stays on the device
    std::vector<ConstantPack> units;
    size_t rare = 0; // units [0, rare) are used less often than the others and pass through slots of their own
};

class PlacedUnits {
public:
    // residence: by unit; fetched ones take the slots of their kind in turn. `packs` is not needed later. Where ops
    // read host memory nothing is copied and every unit is resident. widener: of the same backend, where a unit is to
    // be widened. resource_exhausted if it does not fit.
    PlacedUnits(Memory& memory, const UnitPacks& packs, std::vector<Residence> residence, Widener* widener = nullptr);
    PlacedUnits(const PlacedUnits&) = delete;
    PlacedUnits& operator=(const PlacedUnits&) = delete;

    // As many units as fit into `bytes` with all that is reserved for them; all where ops read host memory.
    // resource_exhausted, saying what `what` needs.
    static std::vector<Residence> residence_within(
        const Memory& memory, const UnitPacks& packs, uint64_t bytes, const char* what);
    // Bytes that the constructor reserves on a device.
    static uint64_t device_bytes(const UnitPacks& packs, const std::vector<Residence>& residence);
    uint64_t device_bytes() const { return device_bytes_; } // 0 on the host

    const Constants& constants() const { return constants_; } // of a streamed unit: its place in its slot
    const std::vector<Residence>& residence() const { return residence_; }
    int slot(size_t unit) const { return streamed_[unit].slot; } // -1: not fetched

    // Brings a unit that is not resident to its slot, beside the ops. Ops that are issued after await() see it; of
    // another they do always.
    void fetch(size_t unit) const;
    void await(size_t unit) const {
        if (slot(unit) >= 0) memory_.await(slot(unit));
    }

private:
    struct Streamed {
        int slot = -1;
        std::byte* at = nullptr; // the slot's memory
        uint64_t offset = 0, bytes = 0; // in the host's copy
    };

    Memory& memory_;
    Constants constants_;
    std::vector<Residence> residence_;
    std::vector<Streamed> streamed_; // by unit
    std::unique_ptr<Arena> device_;
    std::unique_ptr<std::byte, std::function<void(std::byte*)>> host_; // page-locked: what fetches read
    uint64_t device_bytes_ = 0;
};

} // namespace atelier
