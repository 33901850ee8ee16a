#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/token_ids.h"
#include "models/t5/encoder.h"

namespace atelier {
namespace {
constexpr int64_t kMaxTokens = 4096; // far above FLUX's 512; the position bias grows with the square
}

struct T5Text::Impl {
    std::shared_ptr<Device> device;
    t5::Encoder model;
    uint64_t budget;
    UnitPacks packs;
    std::unique_ptr<PlacedUnits> placed;
    uint64_t room = 0;       // that `placed` leaves for what runs
    std::vector<float> bias; // of the length last used
    size_t bias_tokens = 0;

    Impl(std::shared_ptr<Device> on, t5::Encoder loaded, uint64_t bytes) : device(std::move(on)), model(std::move(loaded)), budget(bytes), packs(model.packs()) {}
    Memory& memory() const { return device->impl->ops->memory(); }

    // The layers on the device, or as many as leave `other_bytes` of the budget, or of what is free.
    const PlacedUnits& place_beside(uint64_t other_bytes) {
        if (placed && other_bytes <= room) return *placed;
        placed.reset();
        const uint64_t reserved = device->impl->ops->workspace_bytes() + device->impl->profile.context_bytes;
        const uint64_t available = budget ? budget - std::min(budget, reserved) : usable_bytes(memory());
        placed = std::make_unique<PlacedUnits>(
            memory(), packs, PlacedUnits::residence_within(memory(), packs, available - std::min(available, other_bytes), "the T5 encoder's weights"));
        room = other_bytes;
        return *placed;
    }
};

T5Text::T5Text() = default;
T5Text::~T5Text() = default;

std::shared_ptr<T5Text> T5Text::load(std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress, uint64_t memory_budget) {
    internal_progress(progress).check();
    std::shared_ptr<T5Text> text(new T5Text);
    text->impl = std::make_unique<Impl>(std::move(device), t5::Encoder(read_t5_config(dir), WeightSource::open(dir)), memory_budget);
    internal_progress(progress)(1, 1, "load text encoder 2");
    return text;
}

Tensor T5Text::encode(std::span<const int32_t> ids) {
    check_ids(ids, impl->model.config.vocab_size, kMaxTokens);
    if (impl->bias_tokens != ids.size()) {
        impl->bias = impl->model.position_bias(static_cast<int64_t>(ids.size()));
        impl->bias_tokens = ids.size();
    }
    Program program;
    UnitStream stream(program);
    const Sym input = program.persistent(static_cast<int64_t>(ids.size()), 1, "ids", DType::i32);
    const Sym last = impl->model.encode(program, stream, input, impl->bias.data());
    const PlacedUnits& placed = impl->place_beside(program.plan().arena_bytes + packed_bytes(impl->bias.size() * sizeof(float)));
    stream.connect(placed);
    Constants constants(impl->memory(), {&placed.constants()});
    constants.add(impl->bias);
    constants.place();
    program.read_from(constants);
    Tensor out{{last.rows, last.cols}, {}};
    run_once(
        *impl->device, program, [&](const Program::Resolver& at) { write_view(impl->memory(), at(input), ids.data()); },
        [&](const Program::Resolver& at) { out.data = read_rows(impl->memory(), at(last), "T5 text encoder"); });
    return out;
}

} // namespace atelier
