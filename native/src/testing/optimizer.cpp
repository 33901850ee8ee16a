#include "atelier/testing.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "memory/arena.h"
#include "memory/transfer.h"
#include "ops/cpu/cpu_ops.h"
#include "training/adam_state.h"

namespace atelier::testing {

struct Optimizer::Impl {
    int64_t count;
    AdamArgs args;
    std::unique_ptr<Ops> ops = make_cpu_ops({1, "auto"});
    Arena memory;
    AdamState state;

    Impl(AdamKind kind, int64_t n)
        : count(n), memory(ops->memory(), AdamState::bytes(kind, n)), state(kind, n, memory.data()) {
        write_zeros(ops->memory(), memory.data(), AdamState::bytes(kind, n));
    }
};

Optimizer::Optimizer(
    OptimizerKind kind, int64_t count, double lr, double beta1, double beta2, double eps, double weight_decay) {
    require(count > 0, ErrorCode::invalid_argument, "an optimizer over ", count, " values; expected at least one");
    impl = std::make_unique<Impl>(adam_kind(kind, count), count);
    impl->args.lr = lr;
    impl->args.beta1 = beta1;
    impl->args.beta2 = beta2;
    impl->args.eps = eps;
    impl->args.weight_decay = weight_decay;
    impl->args.step = 0;
}

Optimizer::~Optimizer() = default;

void Optimizer::step(std::span<float> param, std::span<const float> grad) {
    check_input(param, impl->count, "param");
    check_input(grad, impl->count, "grad");
    ++impl->args.step;
    const View p{param.data(), impl->count, 1, 1, DType::f32},
        g{const_cast<float*>(grad.data()), impl->count, 1, 1, DType::f32};
    impl->state.step(*impl->ops, impl->args, p, g);
}

TensorMap Optimizer::states() const {
    const auto tensor = [](const View& v) { return Tensor{{v.rows}, {v.f32(), v.f32() + v.rows}}; };
    const AdamState& s = impl->state;
    switch (s.kind()) {
        case AdamKind::torch: return {{"exp_avg", tensor(s.m())}, {"exp_avg_sq", tensor(s.v())}};
        case AdamKind::bnb32: return {{"state1", tensor(s.m())}, {"state2", tensor(s.v())}};
        case AdamKind::bnb8: return {{"absmax1", tensor(s.m_absmax())}, {"absmax2", tensor(s.v_absmax())}};
    }
    fail(ErrorCode::internal, "unknown optimizer");
}

std::map<std::string, std::vector<uint8_t>> Optimizer::codes() const {
    const AdamState& s = impl->state;
    if (s.kind() != AdamKind::bnb8) return {};
    const auto bytes = [](const View& v) {
        const uint8_t* data = static_cast<const uint8_t*>(v.data);
        return std::vector<uint8_t>(data, data + v.rows);
    };
    return {{"state1", bytes(s.m())}, {"state2", bytes(s.v())}};
}

} // namespace atelier::testing
