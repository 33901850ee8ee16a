// The emulated card as a device that models are loaded on.
#pragma once
#include "engine/device.h"
#include "ops/emulated_cuda.h"

namespace atelier::test {

// host_copy: bytes/ms that plans count fetches with; 0: they keep all weights on the card.
inline std::shared_ptr<Device> emulated_card(const Emulated& kind, double host_copy = 0) {
    auto impl = std::make_unique<Device::Impl>();
    impl->ops = make_emulated_cuda_ops(kind);
    impl->description = impl->ops->name();
    impl->profile.host_copy = host_copy;
    return Device::of(std::move(impl));
}

} // namespace atelier::test
