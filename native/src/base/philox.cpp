#include "base/philox.h"
#include "base/error.h"
#include <cmath>
#include <numbers>

namespace atelier {

std::array<uint32_t, 4> philox4x32_10(std::array<uint32_t, 4> c, std::array<uint32_t, 2> k) {
    for (int round = 0; round < 10; ++round) {
        const uint64_t a = uint64_t{0xD2511F53u} * c[0], b = uint64_t{0xCD9E8D57u} * c[2];
        c = {static_cast<uint32_t>(b >> 32) ^ c[1] ^ k[0], static_cast<uint32_t>(b),
            static_cast<uint32_t>(a >> 32) ^ c[3] ^ k[1], static_cast<uint32_t>(a)};
        k[0] += 0x9E3779B9u;
        k[1] += 0xBB67AE85u;
    }
    return c;
}

namespace {

uint64_t joined(uint32_t high, uint32_t low) { return uint64_t{high} << 32 | low; }
double unit(uint64_t bits) { return static_cast<double>(bits >> 11) * 0x1p-53; }

} // namespace

PhiloxStream::PhiloxStream(uint64_t seed, RandomUse use, uint64_t index, uint64_t id) {
    // One Philox call turns (use, index) under the seed into a key; a second one ties the id to the upper half of the
    // counter.
    const auto first =
        philox4x32_10({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), static_cast<uint32_t>(use), 0},
            {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
    const auto second = philox4x32_10(
        {static_cast<uint32_t>(id), static_cast<uint32_t>(id >> 32), first[2], first[3]}, {first[0], first[1]});
    key_ = {second[0], second[1]};
    high_ = joined(second[3], second[2]);
}

std::array<uint32_t, 4> PhiloxStream::block(uint64_t at) const {
    return philox4x32_10({static_cast<uint32_t>(at), static_cast<uint32_t>(at >> 32), static_cast<uint32_t>(high_),
                             static_cast<uint32_t>(high_ >> 32)},
        key_);
}

double PhiloxStream::uniform(uint64_t at) const {
    const auto r = block(at);
    return unit(joined(r[1], r[0]));
}

void PhiloxStream::pair(uint64_t at, float out[2]) const {
    const auto r = block(at);
    const double radius = std::sqrt(-2 * std::log(1 - unit(joined(r[1], r[0])))); // 1 - u lies in (0, 1]
    const double angle = 2 * std::numbers::pi * unit(joined(r[3], r[2]));
    out[0] = static_cast<float>(radius * std::cos(angle));
    out[1] = static_cast<float>(radius * std::sin(angle));
}

float PhiloxStream::normal_at(uint64_t at) const {
    float both[2];
    pair(at / 2, both);
    return both[at % 2];
}

void PhiloxStream::normal(uint64_t begin, std::span<float> values) const {
    require(begin % 2 == 0, ErrorCode::internal, "a run of normal numbers starts at the odd position ", begin);
    float both[2];
    for (size_t i = 0; i < values.size(); ++i) {
        if (i % 2 == 0) pair((begin + i) / 2, both);
        values[i] = both[i % 2];
    }
}

NormalTable::NormalTable() {
    // Newton's method on the distribution function, from the middle outwards; each quantile starts at its neighbour's.
    const double root2 = std::numbers::sqrt2, density_scale = 1 / std::sqrt(2 * std::numbers::pi);
    double x = 0;
    for (size_t i = 32768; i < 65536; ++i) {
        const double upper_tail = 1 - (static_cast<double>(i) + 0.5) / 65536;
        for (int step = 0; step < 4; ++step)
            x += (0.5 * std::erfc(x / root2) - upper_tail) / (density_scale * std::exp(-x * x / 2));
        quantile_[i] = static_cast<float>(x);
        quantile_[65535 - i] = static_cast<float>(-x);
    }
}

const NormalTable& NormalTable::shared() {
    static const NormalTable table;
    return table;
}

void NormalTable::fill(const PhiloxStream& stream, uint64_t begin, float deviation, std::span<float> values) const {
    require(begin % 8 == 0, ErrorCode::internal, "synthetic weights start at position ", begin);
    for (size_t i = 0; i < values.size(); i += 8) {
        const auto words = stream.block((begin + i) / 8);
        for (size_t j = 0; j < 8 && i + j < values.size(); ++j)
            values[i + j] = deviation * quantile_[words[j / 2] >> (16 * (j % 2)) & 0xffff];
    }
}

} // namespace atelier
