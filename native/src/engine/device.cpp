#include "engine/device.h"
#include "ops/cpu/cpu_ops.h"

namespace atelier {

Device::Device() = default;
Device::~Device() = default;

std::shared_ptr<Device> Device::cpu(int threads, const std::string& isa) {
    std::shared_ptr<Device> device(new Device);
    device->impl = std::make_unique<Impl>();
    device->impl->ops = make_cpu_ops({threads, isa});
    const int count = device->impl->ops->threads();
    device->impl->description = std::string(device->impl->ops->name()) + ", " + std::to_string(count) + (count == 1 ? " thread" : " threads");
    return device;
}

std::string Device::description() const { return impl->description; }

} // namespace atelier
