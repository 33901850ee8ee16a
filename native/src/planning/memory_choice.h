// What a memory budget decides: per block what forward leaves for backward and where that waits, and where its weights
// are. Every choice computes the same bits.
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace atelier {

// From little memory and much arithmetic to the opposite.
enum class BlockKeep : uint8_t {
    input,    // the block's input: everything else is made again
    attention, // also q, k, v, the attention's output and log-sum-exp, the middle residual: only the MLP's first linear
               // is made again
    all, // also the MLP before its activation: no product is made again
};

struct MemoryChoice {
    std::vector<BlockKeep> keep; // double blocks, then single blocks
    std::vector<bool> resident; // the same order: weights stay on the device; else they are fetched before each use
    bool modulation_resident = true; // the modulation linears of all blocks, which only forward needs
    std::vector<bool>
        parked; // the same order, or empty for none: what is kept beyond the block's input waits in host memory

    bool parks(size_t block) const { return block < parked.size() && parked[block]; }
    std::vector<bool> widened =
        {}; // the same order, resident blocks alone: NF4 weights are kept as the bf16 that products take; empty: none

    bool widens(size_t block) const { return !widened.empty() && widened[block]; }
};

// Weights resident, and with `recompute` block inputs alone. The last block keeps all even then: its backward follows
// its forward at once.
inline MemoryChoice choice_without_budget(size_t blocks, bool recompute) {
    MemoryChoice choice{
        std::vector(blocks, recompute ? BlockKeep::input : BlockKeep::all), std::vector<bool>(blocks, true), true};
    if (blocks) choice.keep.back() = BlockKeep::all;
    return choice;
}

} // namespace atelier
