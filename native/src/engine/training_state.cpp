#include "engine/training_state.h"
#include "base/error.h"
#include "formats/safetensors.h"
#include <algorithm>
#include <charconv>
#include <sstream>

namespace atelier {
namespace {

constexpr const char *kFormat = "atelier training state 1", *kWeights = "lora_weights", *kStates = "optimizer_states",
                     *kAverage = "average_weights";

int64_t counter(const SafetensorsFile& file, const char* name) {
    const auto it = file.metadata().find(name);
    require(it != file.metadata().end(), ErrorCode::corrupt, "training state: has no ", name);
    int64_t value = -1;
    const char *begin = it->second.data(), *end = begin + it->second.size();
    const auto parsed = std::from_chars(begin, end, value);
    require(parsed.ec == std::errc() && parsed.ptr == end && value >= 0, ErrorCode::corrupt, "training state: ", name,
        " is \"", it->second, "\"");
    return value;
}

Shape length(std::span<const std::byte> bytes) { return {static_cast<int64_t>(bytes.size())}; }

// Newer options are named only where they are not at their defaults: a state that was saved without them goes on.
void name_newer(std::ostringstream& text, const TrainOptions& o) {
    const TrainOptions usual;
    const auto add = [&](const char* name, const auto& value, const auto& as_ever) {
        if (value != as_ever) text << ' ' << name << '=' << value;
    };
    const auto add_name = [&](const char* name, const auto& value, const auto& as_ever) {
        if (value != as_ever) text << ' ' << name << '=' << name_of(value);
    };
    add_name("timestep_sampling", o.timestep_sampling, usual.timestep_sampling);
    add("sigmoid_scale", o.sigmoid_scale, usual.sigmoid_scale);
    add("flow_shift", o.flow_shift, usual.flow_shift);
    add("resolution_shift", o.resolution_shift, usual.resolution_shift);
    add("min_sigma", o.min_sigma, usual.min_sigma);
    add("max_sigma", o.max_sigma, usual.max_sigma);
    add_name("loss_type", o.loss_type, usual.loss_type);
    add("ema_decay", o.ema_decay, usual.ema_decay);
    add("huber_c", o.huber_c, usual.huber_c);
    add_name("huber_schedule", o.huber_schedule, usual.huber_schedule);
}

} // namespace

std::string training_identity(const TrainOptions& o, const std::vector<std::string>& modules) {
    std::ostringstream text;
    text.precision(17);
    text << "rank=" << o.rank << " alpha=" << o.alpha_or_default() << " optimizer=" << name_of(o.optimizer)
         << " lr=" << o.learning_rate << " betas=" << o.adam_beta1 << ',' << o.adam_beta2 << " eps=" << o.adam_epsilon
         << " weight_decay=" << o.weight_decay << " max_grad_norm=" << o.max_grad_norm
         << " accumulation=" << o.accumulation << " schedule=" << name_of(o.lr_schedule) << ',' << o.warmup_steps << ','
         << o.total_steps << ',' << o.lr_num_cycles << ',' << o.lr_power << " weighting=" << name_of(o.weighting) << ','
         << o.logit_mean << ',' << o.logit_std << ',' << o.mode_scale << " guidance=" << o.guidance
         << " seed=" << o.seed;
    name_newer(text, o);
    text << " modules=";
    for (const std::string& path : modules) text << path << ' ';
    return text.str();
}

std::vector<std::byte> write_training_state(const TrainingStateView& state) {
    SafetensorsWriter writer;
    writer.set_metadata("format", kFormat);
    writer.set_metadata("step", std::to_string(state.step));
    writer.set_metadata("micro_step", std::to_string(state.micro));
    writer.set_metadata("run", state.identity);
    writer.add(kWeights, DType::u8, length(state.weights), state.weights);
    writer.add(kStates, DType::u8, length(state.optimizer_states), state.optimizer_states);
    if (!state.average.empty()) writer.add(kAverage, DType::u8, length(state.average), state.average);
    return writer.to_bytes();
}

TrainingCounters read_training_state(std::span<const std::byte> bytes, const TrainingStateView& state) {
    const SafetensorsFile file = SafetensorsFile::parse(bytes, "training state");
    const auto format = file.metadata().find("format"), run = file.metadata().find("run");
    require(format != file.metadata().end() && format->second == kFormat, ErrorCode::corrupt,
        "training state: not a file of this engine, or of another version of it");
    require(run != file.metadata().end() && run->second == state.identity, ErrorCode::invalid_argument,
        "training state: made by a run with other options (", run == file.metadata().end() ? "none" : run->second,
        "); these are ", state.identity);
    const TrainingCounters counters{counter(file, "step"), counter(file, "micro_step")};
    const TensorView &weights = file.require(kWeights, DType::u8, length(state.weights)),
                     &states = file.require(kStates, DType::u8, length(state.optimizer_states));
    const TensorView* average =
        state.average.empty() ? nullptr : &file.require(kAverage, DType::u8, length(state.average));
    if (average) std::copy(average->bytes.begin(), average->bytes.end(), state.average.begin());
    std::copy(weights.bytes.begin(), weights.bytes.end(), state.weights.begin());
    std::copy(states.bytes.begin(), states.bytes.end(), state.optimizer_states.begin());
    return counters;
}

} // namespace atelier
