#include "atelier/text.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/token_ids.h"
#include "models/clip/text_model.h"

namespace atelier {

struct ClipText::Impl {
    std::shared_ptr<Device> device;
    clip::TextModel model;
    UnitPacks packs;
    std::unique_ptr<PlacedUnits> placed;

    Impl(std::shared_ptr<Device> on, clip::TextModel loaded)
        : device(std::move(on)), model(std::move(loaded)), packs(model.packs()) {}
    Memory& memory() const { return device->impl->ops->memory(); }
    // On the device from the first use on: what it costs is asked before there is room.
    const Constants& constants() {
        if (!placed) placed = std::make_unique<PlacedUnits>(memory(), packs, std::vector<Residence>());
        return placed->constants();
    }

    struct Recorded {
        Program program;
        Sym input, last;
    };
    void record(Recorded& r, int64_t tokens) const {
        r.input = r.program.persistent(tokens, 1, "ids", DType::i32);
        r.last = model.encode(r.program, r.input);
    }
};

ClipText::ClipText() = default;
ClipText::~ClipText() = default;

std::shared_ptr<ClipText> ClipText::load(
    std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress) {
    internal_progress(progress).check();
    std::shared_ptr<ClipText> text(new ClipText);
    text->impl =
        std::make_unique<Impl>(std::move(device), clip::TextModel(read_clip_config(dir), WeightSource::open(dir)));
    internal_progress(progress)(1, 1, "load text encoder");
    return text;
}

uint64_t ClipText::weight_bytes() const { return PlacedUnits::device_bytes(impl->packs, {}); }

uint64_t ClipText::encode_bytes(int64_t tokens) const {
    check_token_count(tokens, impl->model.config.max_positions);
    Impl::Recorded r;
    impl->record(r, tokens);
    return r.program.plan().arena_bytes;
}

ClipText::Output ClipText::encode(std::span<const int32_t> ids) {
    const clip::TextModel& model = impl->model;
    check_ids(ids, model.config.vocab_size, model.config.max_positions);
    Impl::Recorded r;
    impl->record(r, static_cast<int64_t>(ids.size()));
    r.program.read_from(impl->constants());
    Output out;
    run_once(
        *impl->device, r.program,
        [&](const Program::Resolver& at) { write_view(impl->memory(), at(r.input), ids.data()); },
        [&](const Program::Resolver& at) {
            out.last_hidden_state = {
                {r.last.rows, r.last.cols}, read_rows(impl->memory(), at(r.last), "CLIP text encoder")};
        });
    const float* row = out.last_hidden_state.data.data() + model.pooled_row(ids) * r.last.cols;
    out.pooled = {{r.last.cols}, {row, row + r.last.cols}};
    return out;
}

} // namespace atelier
