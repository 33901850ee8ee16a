#include "engine/kernel_case.h"
#include "base/half.h"
#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdlib>
#include <limits>

namespace atelier {

KernelCase::~KernelCase() {
    for (const Matrix& m : matrices_)
        if (m.there) card_.memory().release(m.there);
    for (const Quantised& w : weights_)
        for (void* data : w.held) card_.memory().release(data);
}

size_t KernelCase::add(int64_t rows, int64_t cols, Type type, bool written) {
    const auto count = static_cast<size_t>(rows * cols);
    matrices_.push_back({std::vector<float>(type == Type::u8 ? 0 : count),
        std::vector<uint8_t>(type == Type::u8 ? count : 0), rows, cols, type, written});
    return matrices_.size() - 1;
}

size_t KernelCase::input(int64_t rows, int64_t cols, Type type, float deviation) {
    const size_t index = add(rows, cols, type, false);
    std::normal_distribution<float> normal(0, deviation);
    for (float& v : matrices_[index].values) {
        v = normal(random_);
        if (narrow(matrices_[index])) v = bf16_to_float(float_to_bf16(v));
    }
    return index;
}

size_t KernelCase::output(int64_t rows, int64_t cols, Type type, float value) {
    const size_t index = add(rows, cols, type, true);
    std::fill(matrices_[index].values.begin(), matrices_[index].values.end(), value);
    return index;
}

size_t KernelCase::weight(int64_t rows, int64_t cols) {
    std::vector<float> values(static_cast<size_t>(rows * cols));
    std::normal_distribution<float> normal(0, 0.05f);
    for (float& v : values) v = normal(random_);
    Quantised& w = weights_.emplace_back();
    w.storage = nf4_quantize_tensor(values, false);
    w.here = {WeightFormat::nf4, rows, cols, nullptr, nf4_rows(w.storage.data(), cols)};
    w.there = w.here;
    w.there.nf4.absmax8 = nullptr; // of double quantisation, which this is not
    w.there.nf4.nested_absmax = w.there.nf4.nested_code = nullptr;
    for (const bool packed : {true, false}) {
        void* const data = packed ? upload(w.storage.packed.data(), w.storage.packed.size())
                                  : upload(w.storage.absmax.data(), w.storage.absmax.size() * sizeof(float));
        w.held.push_back(data);
        if (packed) w.there.nf4.packed = static_cast<const uint8_t*>(data);
        else w.there.nf4.absmax = static_cast<const float*>(data);
    }
    return weights_.size() - 1;
}

View KernelCase::At::operator[](size_t matrix) const {
    const Matrix& m = of.matrices_[matrix];
    const DType type = m.type == Type::u8 ? DType::u8 : on_card && of.narrow(m) ? DType::bf16 : DType::f32;
    const void* const here = m.type == Type::u8 ? static_cast<const void*>(m.codes.data()) : m.values.data();
    return {on_card ? m.there : const_cast<void*>(here), m.rows, m.cols, m.cols, type};
}

View KernelCase::At::part(size_t matrix, int64_t first, int64_t cols) const {
    View v = (*this)[matrix];
    v.data = static_cast<std::byte*>(v.data) + static_cast<size_t>(first) * dtype_size(v.dtype);
    v.cols = cols;
    return v;
}

Weight KernelCase::At::weight(size_t index) const {
    return on_card ? of.weights_[index].there : of.weights_[index].here;
}

void* KernelCase::upload(const void* from, uint64_t bytes) {
    void* const to = card_.memory().reserve(bytes);
    card_.memory().upload(to, from, bytes);
    return to;
}

void KernelCase::send(Matrix& m) {
    if (m.type == Type::u8) m.there = upload(m.codes.data(), m.codes.size());
    else if (!narrow(m)) m.there = upload(m.values.data(), m.values.size() * sizeof(float));
    else {
        std::vector<uint16_t> bits(m.values.size());
        std::transform(m.values.begin(), m.values.end(), bits.begin(), float_to_bf16);
        m.there = upload(bits.data(), bits.size() * sizeof(uint16_t));
    }
}

double KernelCase::compare(const Matrix& m) {
    std::vector<float> got(m.values.size());
    if (m.type == Type::u8) {
        std::vector<uint8_t> codes(m.codes.size());
        card_.memory().download(codes.data(), m.there, codes.size());
        for (size_t i = 0; i < codes.size(); ++i) // the next code is what rounding differently comes to
            if (std::abs(codes[i] - m.codes[i]) > 1) return std::numeric_limits<double>::infinity();
        return 0;
    }
    if (narrow(m)) {
        std::vector<uint16_t> bits(got.size());
        card_.memory().download(bits.data(), m.there, bits.size() * sizeof(uint16_t));
        std::transform(bits.begin(), bits.end(), got.begin(), bf16_to_float);
    } else card_.memory().download(got.data(), m.there, got.size() * sizeof(float));
    double worst = 0, largest = std::numeric_limits<float>::min();
    for (size_t i = 0; i < got.size(); ++i) {
        const double difference = std::fabs(static_cast<double>(got[i]) - static_cast<double>(m.values[i]));
        if (!std::isfinite(difference)) return std::numeric_limits<double>::infinity();
        worst = std::max(worst, difference);
        largest = std::max(largest, std::fabs(static_cast<double>(m.values[i])));
    }
    return worst / largest;
}

double KernelCase::difference(const std::function<void(Ops&, const At&)>& op) {
    for (Matrix& m : matrices_) send(m);
    op(card_, At{*this, true});
    op(cpu_, At{*this, false});
    double worst = 0;
    for (const Matrix& m : matrices_)
        if (m.written) worst = std::max(worst, compare(m));
    return worst;
}

} // namespace atelier
