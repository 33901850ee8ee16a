#include "atelier/text.h"
#include "base/error.h"
#include "engine/one_shot.h"
#include "engine/token_ids.h"
#include "models/t5/encoder.h"

namespace atelier {
namespace {

constexpr int64_t kMaxTokens = 4096; // far above FLUX's 512; the position bias grows with the square
constexpr size_t kMostTogether =
    16; // beyond, computing them takes longer than any layer's copy, and the next caption waits for all

// Captions of one length, through every layer together.
struct Pass {
    Program program;
    UnitStream stream{program};
    std::vector<Sym> ids, embeds;

    Pass(const t5::Encoder& model, size_t captions, int64_t tokens, const float* bias) {
        for (size_t i = 0; i < captions; ++i) ids.push_back(program.persistent(tokens, 1, "ids", DType::i32));
        embeds = model.encode(program, stream, ids, bias);
    }
};

} // namespace

struct T5Text::Impl {
    std::shared_ptr<Device> device;
    t5::Encoder model;
    uint64_t budget;
    UnitPacks packs;
    std::unique_ptr<PlacedUnits> placed;
    int64_t placed_tokens = 0; // of the longest caption that `placed` leaves room for
    size_t together = 1;       // how many of those
    std::vector<float> bias;   // of the length last used
    int64_t bias_tokens = 0;

    Impl(std::shared_ptr<Device> on, t5::Encoder loaded, uint64_t bytes)
        : device(std::move(on)), model(std::move(loaded)), budget(bytes), packs(model.packs()) {}
    Memory& memory() const { return device->impl->ops->memory(); }

    // The layers on the device, or as many as the budget, or what is free, holds beside a pass. Where some have to be
    // fetched a pass takes as many captions as fit beside two layers: each costs little memory, and a fetch serves them
    // all.
    void place_beside(int64_t tokens) {
        if (placed && tokens <= placed_tokens) return;
        placed.reset();
        const uint64_t reserved = device->impl->ops->workspace_bytes() + device->impl->profile.context_bytes;
        const uint64_t available = budget ? budget - std::min(budget, reserved) : usable_bytes(memory());
        const auto fits = [&](size_t captions, Residence residence) {
            return pass_bytes(captions, tokens) + layer_bytes(residence) <= available;
        };
        together = memory().on_host() || fits(1, Residence::resident) ? 1 : kMostTogether;
        while (together > 1 && !fits(together, Residence::fetched)) --together;
        const uint64_t beside = pass_bytes(together, tokens);
        placed = std::make_unique<PlacedUnits>(memory(), packs,
            PlacedUnits::residence_within(
                memory(), packs, available - std::min(available, beside), "the T5 encoder's weights"));
        placed_tokens = tokens;
    }

    // Of captions that pass the layers together: what runs, and the position bias.
    uint64_t pass_bytes(size_t captions, int64_t tokens) const {
        return Pass(model, captions, tokens, nullptr).program.plan().arena_bytes +
               packed_bytes(static_cast<uint64_t>(model.config.num_heads * tokens * tokens) * sizeof(float));
    }
    uint64_t layer_bytes(Residence residence) const {
        return PlacedUnits::device_bytes(packs, std::vector(packs.units.size(), residence));
    }

    // `captions` are of one length, at most `together`. first: the number of the first of them, for errors.
    void run(std::span<const std::vector<int32_t>> captions, size_t first, std::vector<Tensor>& results,
        const Progress& progress) {
        const int64_t tokens = static_cast<int64_t>(captions[0].size());
        if (bias_tokens != tokens) {
            bias = model.position_bias(tokens);
            bias_tokens = tokens;
        }
        Pass pass(model, captions.size(), tokens, bias.data());
        pass.stream.connect(*placed);
        Constants constants(memory(), {&placed->constants()});
        constants.add(bias);
        constants.place();
        pass.program.read_from(constants);
        run_once(
            *device, pass.program,
            [&](const Program::Resolver& at) {
                for (size_t i = 0; i < captions.size(); ++i) write_view(memory(), at(pass.ids[i]), captions[i].data());
            },
            [&](const Program::Resolver& at) {
                for (size_t i = 0; i < captions.size(); ++i) {
                    const std::string what = "T5 text encoder, caption " + std::to_string(first + i);
                    results.push_back({{pass.embeds[i].rows, pass.embeds[i].cols},
                        read_rows(memory(), at(pass.embeds[i]), what.c_str())});
                }
            },
            progress);
    }
};

T5Text::T5Text() = default;
T5Text::~T5Text() = default;

std::shared_ptr<T5Text> T5Text::load(
    std::shared_ptr<Device> device, const std::string& dir, const EngineProgress& progress, uint64_t memory_budget) {
    internal_progress(progress).check();
    std::shared_ptr<T5Text> text(new T5Text);
    text->impl = std::make_unique<Impl>(
        std::move(device), t5::Encoder(read_t5_config(dir), WeightSource::open(dir)), memory_budget);
    internal_progress(progress)(1, 1, "load text encoder 2");
    return text;
}

uint64_t T5Text::weight_bytes() const { return impl->layer_bytes(Residence::resident); }

uint64_t T5Text::encode_bytes(int64_t tokens) const {
    check_token_count(tokens, kMaxTokens);
    return impl->pass_bytes(1, tokens);
}

std::vector<Tensor> T5Text::encode(
    std::span<const std::vector<int32_t>> captions, const EngineProgress& engine_progress) {
    const Progress progress = internal_progress(engine_progress);
    for (size_t i = 0; i < captions.size(); ++i)
        check_ids(captions[i], impl->model.config.vocab_size, kMaxTokens, "caption " + std::to_string(i) + ": ");
    std::vector<Tensor> results;
    while (results.size() < captions.size()) {
        progress.check();
        const size_t first = results.size(), tokens = captions[first].size();
        impl->place_beside(static_cast<int64_t>(tokens));
        size_t count = 1;
        while (count < impl->together && first + count < captions.size() && captions[first + count].size() == tokens)
            ++count;
        impl->run(captions.subspan(first, count), first, results, progress);
        progress(static_cast<double>(results.size()), static_cast<double>(captions.size()), "encode captions");
    }
    return results;
}

} // namespace atelier
