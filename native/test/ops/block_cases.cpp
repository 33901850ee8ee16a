#include "ops/op_case.h"
#include "program/records/blocks.h"
#include <cmath>

namespace atelier::test {
namespace {

size_t at(int64_t i) { return static_cast<size_t>(i); }

// (x - mean) / std of each row, times 1 + scale, plus shift
Values modulated(const Values& x, int64_t cols, const Values& shift, const Values& scale, double eps) {
    Values y(x.size());
    for (size_t row = 0; row < x.size(); row += at(cols)) {
        double mean = 0, variance = 0;
        for (size_t j = 0; j < at(cols); ++j) mean += x[row + j] / static_cast<double>(cols);
        for (size_t j = 0; j < at(cols); ++j) variance += std::pow(x[row + j] - mean, 2) / static_cast<double>(cols);
        for (size_t j = 0; j < at(cols); ++j)
            y[row + j] = (x[row + j] - mean) / std::sqrt(variance + eps) * (1 + scale[j]) + shift[j];
    }
    return y;
}

constexpr float kEps = 1e-6f;

OpCase modulate(int64_t cols) {
    OpCase c;
    c.name = "modulate " + std::to_string(cols);
    c.inputs = {{4, cols}, {1, cols, false}, {1, cols, false}}; // x, shift, scale
    c.outputs = {{4, cols}, {4, 2, false}}; // y, stats
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::GatedNormModulate{in[0], {}, {}, in[1], in[2], kEps, {}, out[0], out[1]});
    };
    c.reference = [cols](const std::vector<Values>& in, const auto&) {
        Values stats;
        for (size_t row = 0; row < in[0].size(); row += at(cols)) {
            double mean = 0, variance = 0;
            for (size_t j = 0; j < at(cols); ++j) mean += in[0][row + j] / static_cast<double>(cols);
            for (size_t j = 0; j < at(cols); ++j)
                variance += std::pow(in[0][row + j] - mean, 2) / static_cast<double>(cols);
            stats.insert(stats.end(), {mean, 1 / std::sqrt(variance + 1e-6)});
        }
        return std::vector<Values>{modulated(in[0], cols, in[1], in[2], 1e-6), stats};
    };
    c.gradients = {
        {0, true, [](Program& p, const auto& in, const auto&, const auto& out, const Sym& dy, const Sym& dx) {
             p.emit(op::NormModulateBwd{dy, in[0], in[2], out[1], dx});
         }}};
    return c;
}

OpCase gated_modulate(int64_t cols) { // the residual first
    OpCase c;
    c.name = "gated modulate " + std::to_string(cols);
    c.inputs = {{4, cols}, {1, cols, false}, {4, cols}, {1, cols, false}, {1, cols, false}};
    c.outputs = {{4, cols}, {4, cols}}; // y, r
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::GatedNormModulate{in[0], in[1], in[2], in[3], in[4], kEps, out[1], out[0], {}});
    };
    c.reference = [cols](const std::vector<Values>& in, const auto&) {
        Values r = in[0];
        for (size_t i = 0; i < r.size(); ++i) r[i] += in[1][i % at(cols)] * in[2][i];
        return std::vector<Values>{modulated(r, cols, in[3], in[4], 1e-6), r};
    };
    return c;
}

OpCase normalise(int64_t cols) { // with a row that is not zeros, so that a kernel that does not read it is found out
    OpCase c;
    c.name = "normalise " + std::to_string(cols);
    c.inputs = {{5, cols}};
    c.outputs = {{5, cols}};
    c.constants = {cols};
    c.emit = [cols](Program& p, const auto& in, const auto& k, const auto& out) {
        p.emit(op::Normalise{in[0], {{const_cast<float*>(k[0]), 1, cols, cols, DType::f32}}, kEps, out[0]});
    };
    c.reference = [cols](const std::vector<Values>& in, const std::vector<Values>& k) {
        return std::vector<Values>{modulated(in[0], cols, k[0], k[0], 1e-6)};
    };
    return c;
}

OpCase rope(int64_t dim) {
    constexpr int64_t rows = 5, heads = 3;
    const auto table = [=](const float* values) {
        return Table{{const_cast<float*>(values), rows, dim, dim, DType::f32}};
    };
    OpCase c;
    c.name = "query and key norm with rotary embedding " + std::to_string(dim);
    c.inputs = {{rows, heads * dim}};
    c.outputs = {{rows, heads * dim}};
    c.constants = {dim, rows * dim, rows * dim}; // weight, cos, sin
    c.emit = [=](Program& p, const auto& in, const auto& k, const auto& out) {
        p.emit(op::QkNormRope{in[0], k[0], table(k[1]), table(k[2]), heads, kEps, out[0]});
    };
    c.reference = [=](const std::vector<Values>& in, const std::vector<Values>& k) {
        const Values& x = in[0];
        Values y(x.size());
        for (int64_t row = 0; row < rows; ++row)
            for (int64_t h = 0; h < heads; ++h) {
                const size_t first = at((row * heads + h) * dim);
                double square = 0;
                for (size_t d = 0; d < at(dim); ++d) square += x[first + d] * x[first + d] / static_cast<double>(dim);
                const double r = 1 / std::sqrt(square + 1e-6);
                for (size_t d = 0; d < at(dim); d += 2) {
                    const double a = x[first + d] * r * k[0][d], b = x[first + d + 1] * r * k[0][d + 1];
                    const size_t t = at(row * dim) + d;
                    y[first + d] = a * k[1][t] - b * k[2][t];
                    y[first + d + 1] = b * k[1][t + 1] + a * k[2][t + 1];
                }
            }
        return std::vector<Values>{y};
    };
    c.gradients = {
        {0, false, [=](Program& p, const auto& in, const auto& k, const auto&, const Sym& dy, const Sym& dx) {
             p.emit(op::QkNormRopeBwd{dy, in[0], k[0], table(k[1]), table(k[2]), heads, kEps, dx});
         }}};
    return c;
}

OpCase gated_residual(int64_t cols) {
    OpCase c;
    c.name = "gated residual " + std::to_string(cols);
    c.inputs = {{6, cols}, {1, cols, false}, {6, cols}}; // x, gate, branch
    c.outputs = {{6, cols}};
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::GatedResidual{in[0], in[1], in[2], out[0]});
    };
    c.reference = [cols](const std::vector<Values>& in, const auto&) {
        Values r = in[0];
        for (size_t i = 0; i < r.size(); ++i) r[i] += in[1][i % at(cols)] * in[2][i];
        return std::vector<Values>{r};
    };
    c.gradients = {{2, false,
                       [](Program& p, const auto& in, const auto&, const auto&, const Sym& dy, const Sym& dx) {
                           p.emit(op::MulRow{dy, in[1], dx});
                       }},
        {1, true, [](Program& p, const auto& in, const auto&, const auto&, const Sym& dy, const Sym& dx) {
             p.emit(op::ColumnDot{dy, in[2], dx});
         }}};
    return c;
}

} // namespace

std::vector<OpCase> block_cases() {
    std::vector<OpCase> all;
    for (const int64_t cols : {9, 64, 83}) { // below, at and beyond the widths of vectors
        all.push_back(modulate(cols));
        all.push_back(gated_modulate(cols));
        all.push_back(normalise(cols));
        all.push_back(gated_residual(cols));
    }
    for (const int64_t dim : {10, 12}) all.push_back(rope(dim)); // one pair at a time, and two
    return all;
}

} // namespace atelier::test
