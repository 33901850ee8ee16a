// Which families of transformers there are, by the `_class_name` of their config.json.
#pragma once
#include "models/transformer.h"

namespace atelier {

struct TransformerFamily {
    const char* class_name;    // in transformer/config.json
    const char* pipeline_name; // in the checkpoint's model_index.json
    TransformerDims (*read_config)(const std::string& dir);
    decltype(&TransformerWeights::load) load;
};

// Of a transformer's folder, or of a whole checkpoint's. unsupported, naming those there are, for another.
const TransformerFamily& family_of_transformer(const std::string& dir);
const TransformerFamily& family_of_checkpoint(const std::string& dir);

} // namespace atelier
