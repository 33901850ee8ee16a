#include "engine/transformer.h"
#include "models/registry.h"

namespace atelier {

Transformer::Transformer() = default;
Transformer::~Transformer() = default;

Transformer::Impl::Impl(std::shared_ptr<Device> on, TransformerWeights w)
    : device(std::move(on)), weights(std::move(w)), modules(linear_modules(weights.layers())),
      packs(weight_units(weights.layers())) {}

std::shared_ptr<const PlacedUnits> Transformer::Impl::place(const std::vector<Residence>& residence) {
    const std::lock_guard lock(placing_);
    if (placed_ && placed_->residence() == residence) return placed_;
    placed_.reset(); // before more is reserved
    const std::lock_guard busy(device->impl->busy); // weights are widened over the workspace
    return placed_ = std::make_shared<PlacedUnits>(memory(), packs, residence, ops().widener());
}

uint64_t Transformer::Impl::free_bytes() const {
    const std::lock_guard lock(placing_);
    return usable_bytes(memory()) + (placed_.use_count() == 1 ? placed_->device_bytes() : 0);
}

std::vector<Residence> Transformer::Impl::residence_beside(uint64_t other_bytes, uint64_t budget) const {
    if (!budget) {
        const std::lock_guard lock(placing_);
        if (placed_) return placed_->residence();
    }
    const uint64_t available = budget ? budget : free_bytes();
    return PlacedUnits::residence_within(
        memory(), packs, available - std::min(available, other_bytes), "the transformer's weights");
}

std::shared_ptr<Transformer> Transformer::load(std::shared_ptr<Device> device, const std::string& dir, BaseQuant quant,
    const std::string& cache_dir, const EngineProgress& progress) {
    const int threads = device->impl->ops->threads();
    const TransformerFamily& family = family_of_transformer(dir);
    TransformerWeights weights = family.load(dir, quant, cache_dir, threads, internal_progress(progress));
    return of(std::make_unique<Impl>(std::move(device), std::move(weights)));
}

std::shared_ptr<Transformer> Transformer::of(std::unique_ptr<Impl> impl) {
    std::shared_ptr<Transformer> model(new Transformer);
    model->impl = std::move(impl);
    return model;
}

const TransformerDims& Transformer::dims() const { return impl->dims(); }
const std::vector<LinearModule>& Transformer::modules() const { return impl->modules; }
uint64_t Transformer::weight_bytes() const { return impl->weights.bytes(); }

} // namespace atelier
