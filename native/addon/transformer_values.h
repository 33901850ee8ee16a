// A transformer's sizes and the format of its weights, shared by those who load one and those who only plan one.
#pragma once
#include "values.h"

namespace atelier::addon {

BaseQuant quant(Napi::Value);
FluxDims dims_of(Napi::Value);
Napi::Object to_js(Napi::Env, const FluxDims&);

} // namespace atelier::addon
