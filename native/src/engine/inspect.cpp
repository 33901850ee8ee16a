// What loading a checkpoint would say, without loading it: each component goes through its own loader, whose matrices
// stay in the file's mapping, and is dropped before the next one.
#include "atelier/checkpoint.h"
#include "base/error.h"
#include "formats/config.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include "models/clip/text_model.h"
#include "models/registry.h"
#include "models/t5/encoder.h"
#include "models/vae/autoencoder.h"
#include <algorithm>
#include <filesystem>
#include <sstream>
#include <thread>

namespace atelier {
namespace {

template <class... Parts>
std::string text_of(const Parts&... parts) {
    std::ostringstream text;
    (text << ... << parts);
    return text.str();
}

// Every type its tensors have, the one with the most bytes first: "BF16, F32"; NF4 stands for what bitsandbytes stores
// as bytes.
std::string dtypes_of(const WeightSource& source) {
    std::map<std::string, uint64_t> bytes;
    for (const SafetensorsFile& file : source.files())
        for (const auto& [name, tensor] : file.tensors()) {
            if (source.prequantized(name)) bytes["NF4"] += tensor.bytes.size();
            else if (tensor.dtype == DType::f32 || tensor.dtype == DType::f16 || tensor.dtype == DType::bf16)
                bytes[dtype_name(tensor.dtype)] += tensor.bytes.size();
        }
    std::vector<std::pair<uint64_t, std::string>> order;
    for (const auto& [name, size] : bytes) order.emplace_back(size, name);
    std::sort(order.rbegin(), order.rend());
    std::string text;
    for (const auto& [size, name] : order) text += (text.empty() ? "" : ", ") + name;
    return text;
}

ComponentReport report(const std::string& component, const WeightSource& source, const std::string& details) {
    ComponentReport r{component, 0, source.bytes(), dtypes_of(source), details};
    for (const SafetensorsFile& file : source.files()) r.tensors += static_cast<int64_t>(file.tensors().size());
    if (source.files().size() > 1) r.details += text_of(", ", source.files().size(), " shards");
    return r;
}

ComponentReport inspect_scheduler(const std::string& dir) {
    const SchedulerConfig c = read_scheduler_config(dir);
    return {"scheduler", 0, 0, "",
        c.use_dynamic_shifting ? text_of("shift ", c.base_shift, " to ", c.max_shift, " by picture size")
                               : text_of("shift ", c.shift)};
}

ComponentReport inspect_clip(const std::string& dir) {
    const WeightSource source = WeightSource::open(dir);
    const clip::TextModel model(read_clip_config(dir), source);
    return report("text_encoder", source,
        text_of(model.config.num_layers, " layers, ", model.config.hidden_size, " wide, ", model.config.max_positions,
            " tokens"));
}

ComponentReport inspect_t5(const std::string& dir) {
    const WeightSource source = WeightSource::open(dir);
    const t5::Encoder model(read_t5_config(dir), source);
    return report(
        "text_encoder_2", source, text_of(model.config.num_layers, " layers, ", model.config.d_model, " wide"));
}

ComponentReport inspect_transformer(const std::string& dir) {
    const int threads = static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
    const TransformerDims d = family_of_transformer(dir).load(dir, BaseQuant::none, "", threads, {}).layers().dims;
    return report("transformer", WeightSource::open(dir),
        text_of(d.num_layers, " double and ", d.num_single_layers, " single blocks, ", d.heads, " heads of ",
            d.head_dim, d.guidance ? ", with guidance" : ", without guidance"));
}

ComponentReport inspect_vae(const std::string& dir) {
    const WeightSource source = WeightSource::open(dir);
    const vae::Autoencoder model(read_vae_config(dir), source);
    return report("vae", source,
        text_of(model.config.latent_channels, " latent channels, ", model.config.spatial_factor(), " pixels each"));
}

struct Component {
    const char *name, *class_name; // of the transformer its family's
    ComponentReport (*inspect)(const std::string& dir);
};
constexpr Component kComponents[] = {
    {"scheduler", "FlowMatchEulerDiscreteScheduler", inspect_scheduler},
    {"text_encoder", "CLIPTextModel", inspect_clip},
    {"text_encoder_2", "T5EncoderModel", inspect_t5},
    {"transformer", nullptr, inspect_transformer},
    {"vae", "AutoencoderKL", inspect_vae},
};

} // namespace

std::vector<ComponentReport> inspect_checkpoint(const std::string& dir) {
    const std::filesystem::path root(dir);
    const JsonObject index = JsonObject::read((root / "model_index.json").string());
    const TransformerFamily& family = family_of_checkpoint(dir);
    std::vector<ComponentReport> reports;
    for (const Component& component : kComponents) {
        const std::vector<std::string> entry = index.strings(component.name); // ["diffusers", "AutoencoderKL"]
        const char* const class_name = component.class_name ? component.class_name : family.class_name;
        require(entry.size() == 2 && entry[1] == class_name, ErrorCode::unsupported, index.label(), ": ",
            in_quotes(component.name), " is ", index.scalar_text(component.name), ", expected a ", class_name);
        reports.push_back(component.inspect((root / component.name).string()));
    }
    return reports;
}

} // namespace atelier
