#include "engine/device.h"
#include "ops/cpu/cpu_ops.h"

namespace atelier {

Device::Device() = default;
Device::~Device() = default;

std::shared_ptr<Device> Device::of(std::unique_ptr<Impl> impl) {
    std::shared_ptr<Device> device(new Device);
    device->impl = std::move(impl);
    return device;
}

std::shared_ptr<Device> Device::cpu(int threads, const std::string& isa) {
    std::unique_ptr<Impl> impl = std::make_unique<Impl>();
    impl->ops = make_cpu_ops({threads, isa});
    const int count = impl->ops->threads();
    impl->description = std::string(impl->ops->name()) + ", " + std::to_string(count) + (count == 1 ? " thread" : " threads");
    return of(std::move(impl));
}

std::string Device::description() const { return impl->description; }

} // namespace atelier
