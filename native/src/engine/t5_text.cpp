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
    std::vector<float> bias; // of the length last used
    size_t bias_tokens = 0;
};

T5Text::T5Text() = default;
T5Text::~T5Text() = default;

std::shared_ptr<T5Text> T5Text::load(std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress) {
    internal_progress(progress).check();
    std::shared_ptr<T5Text> text(new T5Text);
    text->impl = std::unique_ptr<Impl>(new Impl{std::move(device), t5::Encoder(read_t5_config(dir), WeightSource::open(dir)), {}, 0});
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
    const Sym input = program.persistent(static_cast<int64_t>(ids.size()), 1, "ids", DType::i32);
    const Sym last = impl->model.encode(program, input, impl->bias.data());
    Tensor out{{last.rows, last.cols}, {}};
    run_once(
        *impl->device, program, [&](const Program::Resolver& at) { write_ids(ids, at(input)); },
        [&](const Program::Resolver& at) { out.data = read_rows(at(last), "T5 text encoder"); });
    return out;
}

} // namespace atelier
