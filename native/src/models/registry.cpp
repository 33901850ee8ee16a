#include "models/registry.h"
#include "base/error.h"
#include "formats/json_file.h"
#include "formats/text.h"
#include "models/flux/config.h"
#include <filesystem>

namespace atelier {
namespace {

constexpr TransformerFamily kFamilies[] = {
    {"FluxTransformer2DModel", "FluxPipeline", read_flux_config, FluxWeights::load},
};

// A file that names no class is taken for the first family's.
const TransformerFamily& family_of(const std::string& dir, const char* file, const char* TransformerFamily::* name) {
    const JsonObject json = JsonObject::read((std::filesystem::path(dir) / file).string());
    const std::string found = json.string("_class_name", kFamilies[0].*name);
    std::vector<std::string> known;
    for (const TransformerFamily& family : kFamilies) {
        if (found == family.*name) return family;
        known.emplace_back(family.*name);
    }
    fail(ErrorCode::unsupported, json.label(), ": field '_class_name' is ", in_quotes(found), "; this engine supports ",
        quoted_list(known), " only");
}

} // namespace

const TransformerFamily& family_of_transformer(const std::string& dir) {
    return family_of(dir, "config.json", &TransformerFamily::class_name);
}

const TransformerFamily& family_of_checkpoint(const std::string& dir) {
    return family_of(dir, "model_index.json", &TransformerFamily::pipeline_name);
}

} // namespace atelier
