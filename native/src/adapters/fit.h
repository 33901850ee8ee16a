// Which linears an adapter is for.
#pragma once
#include "atelier/types.h"

namespace atelier {

// peft's rule: a target names a module by its whole path or by its last parts.
bool target_matches(const std::string& target, const std::string& path);

// Of the linears, in their order, those that the options' targets name. invalid_argument for a target that names none.
std::vector<LinearModule> targeted(const std::vector<LinearModule>& linears, const std::vector<std::string>& targets);

// invalid_argument, naming the modules, unless the model has each with these sizes; corrupt for numbers that are not
// finite.
void check_fits(const std::vector<AdapterContents::Module>&, const std::vector<LinearModule>& linears);
void check_fits(const AdapterWeights&, const std::vector<LinearModule>& linears);

} // namespace atelier
