#include "training/lora_bank.h"
#include "base/error.h"
#include "base/philox.h"
#include "memory/transfer.h"
#include <algorithm>
#include <cmath>
#include <set>

namespace atelier {
namespace {

uint64_t padded(int64_t count) { return (static_cast<uint64_t>(count) * sizeof(float) + 63) / 64 * 64; }

} // namespace

LoraBank::Sizes LoraBank::sizes(const FluxLayers& layers, const TrainOptions& o) {
    require(o.rank > 0, ErrorCode::invalid_argument, "rank ", o.rank, ": expected at least 1");
    const float alpha = o.alpha_or_default();
    require(alpha > 0 && std::isfinite(alpha), ErrorCode::invalid_argument, "alpha ", alpha,
        ": expected a positive number");
    require(!o.targets.empty(), ErrorCode::invalid_argument,
        "targets: no module named, nothing to train; the reference trains to_k, to_q, to_v, to_out.0");
    Sizes s;
    std::set<std::string> unused(o.targets.begin(), o.targets.end());
    for_each_linear(layers, [&](const std::string& path, const Linear&, int64_t in, int64_t out) {
        bool chosen = false;
        for (const std::string& target : o.targets)
            if (target_matches(target, path)) {
                chosen = true;
                unused.erase(target);
            }
        if (!chosen) return;
        s.modules.push_back({path, in, out});
        s.weight_bytes += padded(o.rank * in) + padded(out * o.rank);
        s.bytes += AdamState::bytes(adam_kind(o.optimizer, o.rank * in), o.rank * in) +
                   AdamState::bytes(adam_kind(o.optimizer, out * o.rank), out * o.rank);
    });
    // peft leaves an unmatched target unsaid as long as another matches; a person who mistypes one of four should hear
    // of it.
    require(unused.empty(), ErrorCode::invalid_argument, "target \"", unused.empty() ? "" : *unused.begin(),
        "\" names no linear of this transformer; give a module's path, such as transformer_blocks.0.attn.to_q, or its "
        "last parts, such as to_q");
    s.bytes += 2 * s.weight_bytes;
    return s;
}

void LoraBank::bind_without_values(FluxLayers& layers, const TrainOptions& options) {
    const std::vector<LinearModule> modules = sizes(layers, options).modules;
    size_t next = 0;
    for_each_linear(layers, [&](const std::string& path, Linear& linear, int64_t in, int64_t out) {
        if (next == modules.size() || path != modules[next].path) return;
        ++next;
        const View a{nullptr, options.rank, in, in, DType::f32},
            b{nullptr, out, options.rank, options.rank, DType::f32};
        linear.lora = {a, b, a, b, options.alpha_or_default() / static_cast<float>(options.rank)};
    });
}

LoraBank::LoraBank(Memory& memory, const FluxLayers& layers, const TrainOptions& options)
    : LoraBank(memory, sizes(layers, options), options) {}

LoraBank::LoraBank(Memory& memory, const Sizes& s, const TrainOptions& o)
    : rank_(o.rank), alpha_(o.alpha_or_default()), weight_bytes_(s.weight_bytes), bytes_(s.bytes),
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
    for (const LinearModule& m : s.modules) {
        const Factor a = factor(rank_, m.in), b = factor(m.out, rank_);
        std::vector<float> drawn(static_cast<size_t>(a.value.size()));
        PhiloxStream(o.seed, RandomUse::lora_init, modules_.size()).normal(0, drawn);
        for (float& v : drawn) v /= static_cast<float>(rank_);
        write_view(memory, a.value, drawn.data());
        paths_.push_back(m.path);
        modules_.push_back({a, b});
    }
}

void LoraBank::bind(FluxLayers& layers) const {
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

Adapter LoraBank::adapter() const {
    Adapter adapter;
    for (size_t i = 0; i < paths_.size(); ++i) {
        const View &a = modules_[i].a.value, &b = modules_[i].b.value;
        adapter.modules[paths_[i]] = {
            rank_, a.cols, b.rows, alpha_, values_of(memory_.memory(), a), values_of(memory_.memory(), b)};
    }
    return adapter;
}

void LoraBank::set_adapter(const Adapter& adapter) {
    for (const auto& [path, module] : adapter.modules)
        require(std::find(paths_.begin(), paths_.end(), path) != paths_.end(), ErrorCode::invalid_argument,
            "adapter: module \"", path, "\" is not among the trained ones; choose targets that name it");
    for (size_t i = 0; i < paths_.size(); ++i) {
        const auto it = adapter.modules.find(paths_[i]);
        require(it != adapter.modules.end(), ErrorCode::invalid_argument, "adapter: has no module \"", paths_[i],
            "\", which is trained");
        const Adapter::Module& m = it->second;
        const View &a = modules_[i].a.value, &b = modules_[i].b.value;
        require(m.rank == rank_ && m.in == a.cols && m.out == b.rows, ErrorCode::invalid_argument, "adapter: module \"",
            paths_[i], "\" is of rank ", m.rank, ", ", m.in, " to ", m.out, "; trained is rank ", rank_, ", ", a.cols,
            " to ", b.rows);
        require(m.alpha == alpha_, ErrorCode::invalid_argument, "adapter: module \"", paths_[i], "\" has alpha ",
            m.alpha, ", the options say ", alpha_);
    }
    for (size_t i = 0; i < paths_.size(); ++i) {
        const Adapter::Module& m = adapter.modules.at(paths_[i]);
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
