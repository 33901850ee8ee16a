#include "ops/op_case.h"
#include "program/records/blocks.h"
#include "program/records/elements.h"
#include "program/records/encoders.h"
#include <cmath>

namespace atelier::test {
namespace {

template <class F>
Values each(const Values& x, F&& f) {
    Values y;
    for (const double v : x) y.push_back(f(v));
    return y;
}
template <class F>
Values each(const Values& a, const Values& b, F&& f) {
    Values y;
    for (size_t i = 0; i < a.size(); ++i) y.push_back(f(a[i], b[i]));
    return y;
}

double exact(Activation kind, double x) {
    switch (kind) {
        case Activation::gelu_tanh: return 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
        case Activation::silu: return x / (1 + std::exp(-x));
        case Activation::quick_gelu: return x / (1 + std::exp(-1.702 * x));
        default: return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    }
}

OpCase activation(Activation kind, int64_t cols) {
    OpCase c;
    c.name = "activation " + std::to_string(static_cast<int>(kind)) + " " + std::to_string(cols);
    c.inputs = c.outputs = {{6, cols}};
    c.emit = [kind](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::Activate{in[0], kind, out[0]});
    };
    c.reference = [kind](const std::vector<Values>& in, const auto&) {
        return std::vector<Values>{each(in[0], [&](double v) { return exact(kind, v); })};
    };
    c.gradients = {
        {0, false, [kind](Program& p, const auto& in, const auto&, const auto&, const Sym& dy, const Sym& dx) {
             p.emit(op::ActivateBwd{dy, in[0], kind, dx});
         }}};
    return c;
}

template <class Record, class F>
OpCase binary(const char* name, int64_t cols, F f) {
    OpCase c;
    c.name = std::string(name) + " " + std::to_string(cols);
    c.inputs = {{6, cols}, {6, cols}};
    c.outputs = {{6, cols}};
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) { p.emit(Record{in[0], in[1], out[0]}); };
    c.reference = [f](const std::vector<Values>& in, const auto&) {
        return std::vector<Values>{each(in[0], in[1], f)};
    };
    return c;
}

OpCase copy(int64_t cols) {
    OpCase c;
    c.name = "copy " + std::to_string(cols);
    c.inputs = c.outputs = {{6, cols}};
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) { p.emit(op::Copy{in[0], out[0]}); };
    c.reference = [](const std::vector<Values>& in, const auto&) { return in; };
    return c;
}

OpCase flow_noise() {
    OpCase c;
    c.name = "flow_noise";
    c.inputs = {{6, 10, false}, {6, 10, false}, {1, 1, false}};
    c.outputs = {{6, 10, false}};
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::FlowNoise{in[0], in[1], in[2], out[0]});
    };
    c.reference = [](const std::vector<Values>& in, const auto&) {
        const double sigma = in[2][0];
        return std::vector<Values>{
            each(in[0], in[1], [&](double x, double noise) { return (1 - sigma) * x + sigma * noise; })};
    };
    return c;
}

OpCase flow_loss() { // of 1/4 of a step, whose gradient is what dpred holds
    constexpr float share = 0.25f;
    OpCase c;
    c.name = "flow_loss";
    c.inputs = {{6, 10, false}, {6, 10, false}, {6, 10, false}, {1, 1, false}}; // prediction, latents, noise, weight
    c.outputs = {{1, 1, false}, {6, 10, false}};
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::FlowLoss{in[0], in[1], in[2], in[3], share, out[0], out[1]});
    };
    c.reference = [](const std::vector<Values>& in, const auto&) {
        double loss = 0;
        Values slope;
        for (size_t i = 0; i < in[0].size(); ++i) {
            const double error = in[0][i] - (in[2][i] - in[1][i]), n = static_cast<double>(in[0].size());
            loss += in[3][0] * error * error / n;
            slope.push_back(share * 2 * in[3][0] * error / n);
        }
        return std::vector<Values>{{loss}, slope};
    };
    return c;
}

OpCase huber_loss() {
    constexpr float share = 0.25f;
    OpCase c;
    c.name = "huber_loss";
    c.inputs = {{6, 10, false}, {6, 10, false}, {6, 10, false}, {1, 2, false}}; // prediction, latents, noise, weights
    c.outputs = {{1, 1, false}, {6, 10, false}};
    c.emit = [](Program& p, const auto& in, const auto&, const auto& out) {
        p.emit(op::HuberLoss{in[0], in[1], in[2], in[3], share, out[0], out[1]});
    };
    c.reference = [](const std::vector<Values>& in, const auto&) {
        const double weight = in[3][0], knee = in[3][1], n = static_cast<double>(in[0].size());
        double loss = 0;
        Values slope;
        for (size_t i = 0; i < in[0].size(); ++i) {
            const double error = in[0][i] - (in[2][i] - in[1][i]), root = std::sqrt(error * error + knee * knee);
            loss += weight * 2 * knee * (root - knee) / n;
            slope.push_back(share * weight * 2 * knee * error / root / n);
        }
        return std::vector<Values>{{loss}, slope};
    };
    return c;
}

// Mean (or none) and deviation of each row, or of each group of channels over all rows.
Values normed(const Values& x, int64_t rows, int64_t cols, int64_t groups, bool centred, double eps) {
    Values y(x.size());
    const int64_t parts = groups ? groups : rows, width = groups ? cols / groups : cols, lines = groups ? rows : 1;
    for (int64_t part = 0; part < parts; ++part) {
        const auto index = [&](int64_t line, int64_t j) {
            return static_cast<size_t>(groups ? line * cols + part * width + j : part * cols + j);
        };
        const double n = static_cast<double>(lines * width);
        double mean = 0, variance = 0;
        for (int64_t l = 0; centred && l < lines; ++l)
            for (int64_t j = 0; j < width; ++j) mean += x[index(l, j)] / n;
        for (int64_t l = 0; l < lines; ++l)
            for (int64_t j = 0; j < width; ++j) variance += std::pow(x[index(l, j)] - mean, 2) / n;
        for (int64_t l = 0; l < lines; ++l)
            for (int64_t j = 0; j < width; ++j) y[index(l, j)] = (x[index(l, j)] - mean) / std::sqrt(variance + eps);
    }
    return y;
}

void scale(Values& y, const Values& weight, const Values* bias) {
    for (size_t i = 0; i < y.size(); ++i) {
        const size_t j = i % weight.size();
        y[i] = y[i] * weight[j] + (bias ? (*bias)[j] : 0);
    }
}

OpCase layer_norm(int64_t cols) { // of text encoders, which are fp32 on every backend
    OpCase c;
    c.name = "layer_norm " + std::to_string(cols);
    c.inputs = c.outputs = {{5, cols, false}};
    c.constants = {cols, cols};
    c.emit = [](Program& p, const auto& in, const auto& k, const auto& out) {
        p.emit(op::LayerNorm{in[0], k[0], k[1], 1e-5f, out[0]});
    };
    c.reference = [cols](const std::vector<Values>& in, const std::vector<Values>& k) {
        Values y = normed(in[0], 5, cols, 0, true, 1e-5);
        scale(y, k[0], &k[1]);
        return std::vector<Values>{y};
    };
    return c;
}

OpCase rms_norm(int64_t cols) {
    OpCase c;
    c.name = "rms_norm " + std::to_string(cols);
    c.inputs = c.outputs = {{5, cols, false}};
    c.constants = {cols};
    c.emit = [](Program& p, const auto& in, const auto& k, const auto& out) {
        p.emit(op::RmsNorm{in[0], k[0], 1e-6f, out[0]});
    };
    c.reference = [cols](const std::vector<Values>& in, const std::vector<Values>& k) {
        Values y = normed(in[0], 5, cols, 0, false, 1e-6);
        scale(y, k[0], nullptr);
        return std::vector<Values>{y};
    };
    return c;
}

OpCase group_norm(int64_t width) {
    constexpr int64_t rows = 150, groups = 4;
    const int64_t cols = groups * width;
    OpCase c;
    c.name = "group_norm " + std::to_string(width);
    c.inputs = c.outputs = {{rows, cols}};
    c.constants = {cols, cols};
    c.mean = 20; // which a careless sum of squares does not survive
    c.error = 5e-6;
    c.emit = [](Program& p, const auto& in, const auto& k, const auto& out) {
        p.emit(op::GroupNorm{in[0], k[0], k[1], groups, 1e-6f, Activation::none, out[0]});
    };
    c.reference = [cols](const std::vector<Values>& in, const std::vector<Values>& k) {
        Values y = normed(in[0], rows, cols, groups, true, 1e-6);
        scale(y, k[0], &k[1]);
        return std::vector<Values>{y};
    };
    return c;
}

} // namespace

std::vector<OpCase> element_cases() {
    std::vector<OpCase> all = {flow_noise(), flow_loss(), huber_loss()};
    for (const int64_t cols : {37, 300}) {
        all.push_back(copy(cols));
        all.push_back(binary<op::Add>("add", cols, [](double a, double b) { return a + b; }));
        all.push_back(binary<op::Mul>("mul", cols, [](double a, double b) { return a * b; }));
        for (const Activation kind :
            {Activation::gelu_tanh, Activation::silu, Activation::quick_gelu, Activation::gelu_erf})
            all.push_back(activation(kind, cols));
    }
    return all;
}

std::vector<OpCase> encoder_cases() {
    std::vector<OpCase> all;
    for (const int64_t cols : {9, 64, 83}) {
        all.push_back(layer_norm(cols));
        all.push_back(rms_norm(cols));
    }
    for (const int64_t width : {3, 8, 20}) all.push_back(group_norm(width));
    return all;
}

} // namespace atelier::test
