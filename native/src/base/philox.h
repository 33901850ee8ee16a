// Counter-based random numbers, Philox4x32-10 (Salmon et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011). A
// number depends on its key and position alone, never on who drew before: the same on every machine, thread count and
// after every resume.
#pragma once
#include <array>
#include <cstdint>
#include <span>

namespace atelier {

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// What a stream of numbers is for: each purpose has its own stream under the same (seed, index, id).
enum class RandomUse : uint32_t {
    timestep = 1,
    posterior = 2,
    flow_noise = 3,
    lora_init = 4,
    start_latents = 5,
    weights = 6,
    held_out_timestep = 16, // of what is scored: (pair, sample id)
    held_out_posterior = 17,
    held_out_noise = 18
};

// The stream (seed, use, index, id): training uses (micro-step index, sample id), weights (tensor, 0).
// `index` and `id` are mixed into the key and the upper counter words, so streams never overlap.
class PhiloxStream {
public:
    PhiloxStream(uint64_t seed, RandomUse use, uint64_t index, uint64_t id = 0);

    double uniform(uint64_t at) const;                          // [0, 1) with 53 bits
    void normal(uint64_t begin, std::span<float> values) const; // N(0, 1), Box-Muller in double; begin must be even
    float normal_at(uint64_t at) const;

    std::array<uint32_t, 4> block(uint64_t at) const; // four raw words

private:
    void pair(uint64_t at, float out[2]) const;

    std::array<uint32_t, 2> key_;
    uint64_t high_;
};

// N(0, deviation) from a table of 65536 quantiles, eight numbers a Philox block: for billions of synthetic weights,
// where the tails beyond 4.2 deviations do not matter.
class NormalTable {
public:
    static const NormalTable& shared();
    void fill(const PhiloxStream& stream, uint64_t begin, float deviation,
        std::span<float> values) const; // begin: a multiple of 8

private:
    NormalTable();
    std::array<float, 65536> quantile_;
};

} // namespace atelier
