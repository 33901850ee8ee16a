// Why an adapter's tensors are not applied, in words that name what the file is.
#pragma once
#include "adapters/tensor_names.h"
#include "atelier/types.h"
#include <string>
#include <vector>

namespace atelier {

struct UnusableTensor {
    std::string name; // as the file has it
    Role role = Role::none;
    bool of_flux = false; // of a module that FLUX has
    std::vector<int64_t> shape;
};

// Throws unsupported. `metadata`: the file's, which may say what it was made for.
[[noreturn]] void refuse_tensors(
    const std::string& label, const std::vector<UnusableTensor>&, const std::map<std::string, std::string>& metadata);

// Throws unsupported for an x_embedder as wide as those of FLUX.1's other checkpoints, whose further channels (a mask,
// a control picture) nothing here gives.
void refuse_other_inputs(const std::string& label, const std::string& path, int64_t in);

} // namespace atelier
