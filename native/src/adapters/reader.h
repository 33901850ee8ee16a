// The one reader of adapters' files: what of a file is what, checked, with one module in memory at a time.
#pragma once
#include "adapters/fused.h"
#include "formats/safetensors.h"

namespace atelier {

// Gives every module of the file, each path once. Returns what was set aside, in sentences. Throws corrupt or
// unsupported with the file and what is wrong with it, before the first module where names say it already.
std::vector<std::string> read_modules(const SafetensorsFile&, const TakeModule&);

} // namespace atelier
