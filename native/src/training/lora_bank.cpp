#include "training/lora_bank.h"
#include "base/error.h"
#include "memory/transfer.h"
#include <algorithm>

namespace atelier {
namespace {

uint64_t padded(int64_t count) { return (static_cast<uint64_t>(count) * sizeof(float) + 63) / 64 * 64; }

} // namespace

LoraBank::Sizes LoraBank::sizes(const TransformerLayers& layers, const DeclaredTrainOptions& o) {
    Sizes s{lora_parameters(linear_modules(layers), o)};
    for (const LinearModule& m : s.parameters.modules) {
        s.weight_bytes += padded(o.rank * m.in) + padded(m.out * o.rank);
        s.bytes += AdamState::bytes(adam_kind(o.optimizer, o.rank * m.in), o.rank * m.in) +
                   AdamState::bytes(adam_kind(o.optimizer, m.out * o.rank), m.out * o.rank);
    }
    s.bytes += 2 * s.weight_bytes;
    return s;
}

void LoraBank::bind_without_values(TransformerLayers& layers, const DeclaredTrainOptions& options) {
    const LoraParameters parameters = sizes(layers, options).parameters;
    size_t next = 0;
    for_each_linear(layers, [&](const std::string& path, Linear& linear, int64_t in, int64_t out) {
        if (next == parameters.modules.size() || path != parameters.modules[next].path) return;
        ++next;
        const View a{nullptr, parameters.rank, in, in, DType::f32},
            b{nullptr, out, parameters.rank, parameters.rank, DType::f32};
        linear.lora = {a, b, a, b, parameters.scale()};
    });
}

LoraBank::LoraBank(Memory& memory, const TransformerLayers& layers, const DeclaredTrainOptions& options)
    : LoraBank(memory, sizes(layers, options), options) {}

LoraBank::LoraBank(Memory& memory, const Sizes& s, const DeclaredTrainOptions& o)
    : rank_(s.parameters.rank), alpha_(s.parameters.alpha), weight_bytes_(s.weight_bytes), bytes_(s.bytes),
      memory_(memory, s.bytes) {
    write_zeros(memory, memory_.data(), bytes_);
    const int64_t floats = static_cast<int64_t>(weight_bytes_ / sizeof(float));
    grads_ = {memory_.data() + weight_bytes_, 1, floats, floats, DType::f32};
    std::byte *weight = memory_.data(), *state = memory_.data() + 2 * weight_bytes_;
    const auto factor = [&](int64_t rows, int64_t cols) {
        const AdamKind kind = adam_kind(o.optimizer, rows * cols);
        const Factor f{{weight, rows, cols, cols, DType::f32}, {weight + weight_bytes_, rows, cols, cols, DType::f32},
            AdamState(kind, rows * cols, state)};
        weight += padded(rows * cols);
        state += AdamState::bytes(kind, rows * cols);
        return f;
    };
    for (const LinearModule& m : s.parameters.modules) {
        const Factor a = factor(rank_, m.in), b = factor(m.out, rank_);
        write_view(memory, a.value, initial_a(s.parameters, modules_.size(), o.seed).data());
        paths_.push_back(m.path);
        modules_.push_back({a, b});
    }
}

void LoraBank::bind(TransformerLayers& layers) const {
    size_t next = 0;
    for_each_linear(layers, [&](const std::string& path, Linear& linear, int64_t, int64_t) {
        if (next == paths_.size() || path != paths_[next]) return;
        const Module& m = modules_[next++];
        linear.lora = {m.a.value, m.b.value, m.a.grad, m.b.grad, alpha_ / static_cast<float>(rank_)};
    });
}

void LoraBank::update(Ops& ops, const AdamArgs& args) const {
    for (const Module& m : modules_) {
        m.a.state.step(ops, args, m.a.value, m.a.grad);
        m.b.state.step(ops, args, m.b.value, m.b.grad);
    }
}

TensorMap LoraBank::gradients() const {
    TensorMap map;
    for (size_t i = 0; i < paths_.size(); ++i) {
        const View &a = modules_[i].a.grad, &b = modules_[i].b.grad;
        map[paths_[i] + ".lora_A"] = {{a.rows, a.cols}, values_of(memory_.memory(), a)};
        map[paths_[i] + ".lora_B"] = {{b.rows, b.cols}, values_of(memory_.memory(), b)};
    }
    return map;
}

AdapterWeights LoraBank::adapter() const { return adapter_of(weights()); }

std::vector<float> LoraBank::weights() const {
    std::vector<float> all(weight_bytes_ / sizeof(float));
    memory_.memory().download(all.data(), memory_.data(), weight_bytes_);
    return all;
}

AdapterWeights LoraBank::adapter_of(std::span<const float> weights) const {
    const auto values = [&](const View& v) {
        const auto begin =
            (static_cast<const std::byte*>(v.data) - memory_.data()) / static_cast<int64_t>(sizeof(float));
        const auto part = weights.subspan(static_cast<size_t>(begin), static_cast<size_t>(v.rows * v.cols));
        return std::vector<float>(part.begin(), part.end());
    };
    AdapterWeights adapter;
    for (size_t i = 0; i < paths_.size(); ++i) {
        const View &a = modules_[i].a.value, &b = modules_[i].b.value;
        adapter.modules[paths_[i]] = {rank_, a.cols, b.rows, alpha_, values(a), values(b)};
    }
    return adapter;
}

void LoraBank::set_adapter(const AdapterWeights& adapter) {
    for (const auto& [path, module] : adapter.modules)
        require(std::find(paths_.begin(), paths_.end(), path) != paths_.end(), ErrorCode::invalid_argument,
            "adapter: module \"", path, "\" is not among the trained ones; choose targets that name it");
    for (size_t i = 0; i < paths_.size(); ++i) {
        const auto it = adapter.modules.find(paths_[i]);
        require(it != adapter.modules.end(), ErrorCode::invalid_argument, "adapter: has no module \"", paths_[i],
            "\", which is trained");
        const LoraModule& m = it->second;
        const View &a = modules_[i].a.value, &b = modules_[i].b.value;
        require(m.rank == rank_ && m.in == a.cols && m.out == b.rows, ErrorCode::invalid_argument, "adapter: module \"",
            paths_[i], "\" is of rank ", m.rank, ", ", m.in, " to ", m.out, "; trained is rank ", rank_, ", ", a.cols,
            " to ", b.rows);
        require(m.alpha == alpha_, ErrorCode::invalid_argument, "adapter: module \"", paths_[i], "\" has alpha ",
            m.alpha, ", the options say ", alpha_);
    }
    for (size_t i = 0; i < paths_.size(); ++i) {
        const LoraModule& m = adapter.modules.at(paths_[i]);
        write_view(memory_.memory(), modules_[i].a.value, m.a.data());
        write_view(memory_.memory(), modules_[i].b.value, m.b.data());
    }
}

LoraBank::State LoraBank::state() const {
    State s{std::vector<std::byte>(weight_bytes_), std::vector<std::byte>(bytes_ - 2 * weight_bytes_)};
    memory_.memory().download(s.weights.data(), memory_.data(), s.weights.size());
    memory_.memory().download(s.optimizer_states.data(), memory_.data() + 2 * weight_bytes_, s.optimizer_states.size());
    return s;
}

void LoraBank::set_state(const State& s) {
    require(s.weights.size() == weight_bytes_ && s.optimizer_states.size() == bytes_ - 2 * weight_bytes_,
        ErrorCode::internal, "a state of another bank");
    memory_.memory().upload(memory_.data(), s.weights.data(), s.weights.size());
    memory_.memory().upload(memory_.data() + 2 * weight_bytes_, s.optimizer_states.data(), s.optimizer_states.size());
}

} // namespace atelier
