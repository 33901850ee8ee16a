// Training options and picture shapes, shared by the plan and the trainer itself.
#pragma once
#include "atelier/engine.h"
#include "values.h"

namespace atelier::addon {

TrainOptions train_options(
    Napi::Value); // an object; what it leaves out has its default, a name that is none is refused
Trainer::Shape shape(Napi::Value, const std::string& name); // {gridH, gridW, textTokens}
std::vector<Trainer::Shape> shapes(Napi::Value);

} // namespace atelier::addon
