// Helpers of the native tests: seeded data, comparison with a readable report, matrices that own their memory.
#pragma once
#include "base/half.h"
#include "tensor/view.h"
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>
#include <vector>

namespace atelier::test {

struct Matrix {
    std::vector<float> values;
    int64_t rows, cols;
    Matrix(int64_t r, int64_t c, float value = 0) : values(static_cast<size_t>(r * c), value), rows(r), cols(c) {}
    Matrix(int64_t r, int64_t c, std::mt19937& random, float deviation = 1) : Matrix(r, c) {
        std::normal_distribution<float> normal(0, deviation);
        for (float& v : values) v = normal(random);
    }
    View view() { return {values.data(), rows, cols, cols}; }
    float& at(int64_t r, int64_t c) { return values[static_cast<size_t>(r * cols + c)]; }
};

// The same as bf16 bits.
struct HalfMatrix {
    std::vector<uint16_t> bits;
    int64_t rows, cols;
    explicit HalfMatrix(const Matrix& m) : rows(m.rows), cols(m.cols) {
        for (const float v : m.values) bits.push_back(float_to_bf16(v));
    }
    View view() { return {bits.data(), rows, cols, cols, DType::bf16}; }
    Matrix wide() const {
        Matrix m(rows, cols);
        for (size_t i = 0; i < bits.size(); ++i) m.values[i] = bf16_to_float(bits[i]);
        return m;
    }
};

// Largest difference over the largest expected magnitude.
template <class A, class B>
double relative_error(const A& got, const B& expected) {
    double worst = 0, largest = 1e-30;
    for (size_t i = 0; i < expected.size(); ++i) {
        const double difference = std::fabs(static_cast<double>(got[i]) - static_cast<double>(expected[i]));
        if (!(difference <= worst)) worst = difference; // NaN is worst
        largest = std::max(largest, std::fabs(static_cast<double>(expected[i])));
    }
    if (got.size() != expected.size()) return INFINITY;
    return worst / largest;
}

inline std::vector<float> drawn(int64_t count, unsigned seed, float deviation = 1) {
    std::mt19937 random(seed);
    return Matrix(1, count, random, deviation).values;
}

inline double cosine(const std::vector<float>& a, const std::vector<float>& b) {
    double ab = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < a.size(); ++i) {
        ab += static_cast<double>(a[i]) * b[i];
        aa += static_cast<double>(a[i]) * a[i];
        bb += static_cast<double>(b[i]) * b[i];
    }
    return ab / std::sqrt(aa * bb);
}

} // namespace atelier::test
