// The numbers of a tensor of an adapter's file, whatever type they are kept in.
#pragma once
#include "formats/safetensors.h"

namespace atelier {

// corrupt for NaN or infinity, unsupported for a type that holds no such numbers, both with file and tensor.
std::vector<float> read_values(const SafetensorsFile&, const TensorView&);
// Of one value, as alphas are.
float read_scalar(const SafetensorsFile&, const TensorView&);
// Whether every number is zero. NaN is not.
bool is_zero(const SafetensorsFile&, const TensorView&);

} // namespace atelier
