// The addon that tests and the parity suite load: all of the shipped one, and what only they call. One file holds both,
// so that what one makes the other may take.
#include "testing_exports.h"

namespace atelier::addon {

namespace {

constexpr Export exported[] = {
    {"randomTransformer", random_transformer},
    {"transformerForward", transformer_forward},
    {"trainerGradients", trainer_gradients},
    {"trainerLastPrediction", trainer_last_prediction},
    {"trainerSetAdapter", trainer_set_adapter},
    {"createAdapter", create_adapter},
    {"adapterContent", adapter_content},
    {"createOptimizer", create_optimizer},
    {"optimizerStep", optimizer_step},
    {"optimizerStates", optimizer_states},
    {"nf4Quantize", nf4_quantize},
    {"nf4Dequantize", nf4_dequantize},
    {"dynamicMap", dynamic_map},
    {"nf4Code", nf4_code},
    {"lrSchedule", lr_schedule},
    {"lossWeight", loss_weight},
    {"inferenceSigmas", inference_sigmas},
    {"prequantizedLinear", prequantized_linear},
};

constexpr const Kind* kinds[] = {&kind_of<testing::Optimizer>};

Napi::Object init(Napi::Env env, Napi::Object exports) {
    add_exports(env, exports, surface());
    add_exports(env, exports, exported);
    return exports;
}

} // namespace

std::span<const Kind* const> own_kinds() { return kinds; }

NODE_API_MODULE(atelier_testing, init)

} // namespace atelier::addon
