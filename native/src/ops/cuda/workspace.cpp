#include "ops/cuda/workspace.h"
#include "quant/dynamic_map.h"
#include <array>
#include <cstddef>

namespace atelier::ATELIER_CUDA_NS {
namespace {

uint64_t aligned(uint64_t bytes) { return (bytes + Memory::kAlignment - 1) / Memory::kAlignment * Memory::kAlignment; }

template <class T>
T* copied(Memory& memory, std::byte* to, const T* from, size_t count) {
    memory.upload(to, from, count * sizeof(T));
    return reinterpret_cast<T*>(to);
}

constexpr size_t kValues = 256, kCodes = DynamicMap::kSteps;

// Where the parts begin, in the order of the constructor; behind the last: the end.
std::array<uint64_t, 11> offsets_of(const WorkspaceSizes& sizes) {
    const uint64_t parts[] = {static_cast<uint64_t>(sizes.weight_elements) * 2,
        static_cast<uint64_t>(sizes.rows_elements) * 2, static_cast<uint64_t>(sizes.library_bytes),
        kPartials * sizeof(double), 2 * kMostGroups * sizeof(float), kValues * 4, kValues * 4, kCodes, kCodes,
        2 * sizeof(float)};
    std::array<uint64_t, std::size(parts) + 1> offsets{};
    for (size_t i = 0; i < std::size(parts); ++i) offsets[i + 1] = offsets[i] + aligned(parts[i]);
    return offsets;
}

} // namespace

uint64_t workspace_bytes(const WorkspaceSizes& sizes) { return offsets_of(sizes).back(); }

Workspace::Workspace(Memory& memory, const WorkspaceSizes& sizes) : memory_(memory), sizes_(sizes) {
    const auto offsets = offsets_of(sizes);
    bytes_ = offsets.back();
    base_ = static_cast<std::byte*>(memory.reserve(bytes_));
    weight = reinterpret_cast<uint16_t*>(base_ + offsets[0]);
    rows = reinterpret_cast<uint16_t*>(base_ + offsets[1]);
    library = base_ + offsets[2];
    partials = reinterpret_cast<double*>(base_ + offsets[3]);
    stats = reinterpret_cast<float*>(base_ + offsets[4]);
    scales = reinterpret_cast<float*>(base_ + offsets[9]);
    tables.signed_values = copied(memory, base_ + offsets[5], signed_dynamic_map().values.data(), kValues);
    tables.unsigned_values = copied(memory, base_ + offsets[6], unsigned_dynamic_map().values.data(), kValues);
    tables.signed_codes = copied(memory, base_ + offsets[7], signed_dynamic_map().step_code.data(), kCodes);
    tables.unsigned_codes = copied(memory, base_ + offsets[8], unsigned_dynamic_map().step_code.data(), kCodes);
}

Workspace::~Workspace() { memory_.release(base_); }

} // namespace atelier::ATELIER_CUDA_NS
