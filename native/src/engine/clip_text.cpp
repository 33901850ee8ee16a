#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/token_ids.h"
#include "models/clip/text_model.h"

namespace atelier {

struct ClipText::Impl {
    std::shared_ptr<Device> device;
    clip::TextModel model;
    PlacedUnits placed;

    Impl(std::shared_ptr<Device> on, clip::TextModel loaded)
        : device(std::move(on)), model(std::move(loaded)), placed(memory(), model.packs(), {}) {}
    Memory& memory() const { return device->impl->ops->memory(); }
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

ClipText::Output ClipText::encode(std::span<const int32_t> ids) {
    const clip::TextModel& model = impl->model;
    check_ids(ids, model.config.vocab_size, model.config.max_positions);
    Program program;
    program.read_from(impl->placed.constants());
    const Sym input = program.persistent(static_cast<int64_t>(ids.size()), 1, "ids", DType::i32);
    const Sym last = model.encode(program, input);
    Output out;
    run_once(
        *impl->device, program, [&](const Program::Resolver& at) { write_view(impl->memory(), at(input), ids.data()); },
        [&](const Program::Resolver& at) {
            out.last_hidden_state = {{last.rows, last.cols}, read_rows(impl->memory(), at(last), "CLIP text encoder")};
        });
    const float* row = out.last_hidden_state.data.data() + model.pooled_row(ids) * last.cols;
    out.pooled = {{last.cols}, {row, row + last.cols}};
    return out;
}

} // namespace atelier
