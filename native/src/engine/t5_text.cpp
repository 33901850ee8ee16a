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
    Constants constants;
    std::vector<float> bias; // of the length last used
    size_t bias_tokens = 0;

    Impl(std::shared_ptr<Device> on, t5::Encoder loaded) : device(std::move(on)), model(std::move(loaded)), constants(memory()) {
        model.add_constants(constants);
        constants.place();
    }
    Memory& memory() const { return device->impl->ops->memory(); }
};

T5Text::T5Text() = default;
T5Text::~T5Text() = default;

std::shared_ptr<T5Text> T5Text::load(std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress) {
    internal_progress(progress).check();
    std::shared_ptr<T5Text> text(new T5Text);
    text->impl = std::make_unique<Impl>(std::move(device), t5::Encoder(read_t5_config(dir), WeightSource::open(dir)));
    internal_progress(progress)(1, 1, "load text encoder 2");
    return text;
}

Tensor T5Text::encode(std::span<const int32_t> ids) {
    check_ids(ids, impl->model.config.vocab_size, kMaxTokens);
    if (impl->bias_tokens != ids.size()) {
        impl->bias = impl->model.position_bias(static_cast<int64_t>(ids.size()));
        impl->bias_tokens = ids.size();
    }
    Constants constants(impl->memory(), {&impl->constants});
    constants.add(impl->bias);
    constants.place();
    Program program;
    program.read_from(constants);
    const Sym input = program.persistent(static_cast<int64_t>(ids.size()), 1, "ids", DType::i32);
    const Sym last = impl->model.encode(program, input, impl->bias.data());
    Tensor out{{last.rows, last.cols}, {}};
    run_once(
        *impl->device, program, [&](const Program::Resolver& at) { write_view(impl->memory(), at(input), ids.data()); },
        [&](const Program::Resolver& at) { out.data = read_rows(impl->memory(), at(last), "T5 text encoder"); });
    return out;
}

} // namespace atelier
