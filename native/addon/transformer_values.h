// A transformer's sizes and the format of its weights, shared by those who load one and those who only plan one.
#pragma once
#include "handle.h"
#include "values.h"

namespace atelier::addon {

BaseQuant quant(Napi::Value);
TransformerDims dims_of(Napi::Value);
Napi::Object to_js(Napi::Env, const TransformerDims&);
// {transformer, dims, modules, weightBytes}: what never changes about a loaded transformer
Napi::Object loaded_transformer(Napi::Env, std::shared_ptr<Transformer>, std::shared_ptr<Line>);

} // namespace atelier::addon
