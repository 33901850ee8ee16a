#include "adapters/fit.h"
#include "adapters/files.h"
#include "base/error.h"
#include "formats/text.h"
#include <set>

namespace atelier {

bool target_matches(const std::string& target, const std::string& path) {
    if (path == target) return true;
    return path.size() > target.size() && path.ends_with(target) && path[path.size() - target.size() - 1] == '.';
}

std::vector<LinearModule> targeted(const std::vector<LinearModule>& linears, const std::vector<std::string>& targets) {
    require(!targets.empty(), ErrorCode::invalid_argument,
        "targets: no module named, nothing to train; the reference trains to_k, to_q, to_v, to_out.0");
    std::vector<LinearModule> chosen;
    std::set<std::string> unused(targets.begin(), targets.end());
    for (const LinearModule& linear : linears) {
        bool named = false;
        for (const std::string& target : targets)
            if (target_matches(target, linear.path)) {
                named = true;
                unused.erase(target);
            }
        if (named) chosen.push_back(linear);
    }
    // peft leaves an unmatched target unsaid as long as another matches; a person who mistypes one of four should hear
    // of it.
    require(unused.empty(), ErrorCode::invalid_argument, "target \"", unused.empty() ? "" : *unused.begin(),
        "\" names no linear of this transformer; give a module's path, such as transformer_blocks.0.attn.to_q, or its "
        "last parts, such as to_q");
    return chosen;
}

void check_fits(const std::vector<AdapterContents::Module>& modules, const std::vector<LinearModule>& linears) {
    std::map<std::string, const LinearModule*> by_path;
    for (const LinearModule& m : linears) by_path[m.path] = &m;
    std::vector<std::string> unknown, misfit;
    for (const AdapterContents::Module& m : modules) {
        const auto it = by_path.find(m.path);
        if (it == by_path.end()) unknown.push_back(m.path);
        else if (it->second->in != m.in || it->second->out != m.out)
            misfit.push_back(m.path + ": " + std::to_string(m.in) + " to " + std::to_string(m.out) +
                             ", the model's is " + std::to_string(it->second->in) + " to " +
                             std::to_string(it->second->out));
    }
    require(unknown.empty(), ErrorCode::invalid_argument, "adapter: the model has no modules ", quoted_list(unknown),
        "; it was made for another model");
    require(misfit.empty(), ErrorCode::invalid_argument, "adapter: sizes do not fit the model: ", quoted_list(misfit),
        "; it was made for another model");
}

void check_fits(const AdapterWeights& adapter, const std::vector<LinearModule>& linears) {
    check_adapter(adapter, "adapter");
    std::vector<AdapterContents::Module> modules;
    for (const auto& [path, m] : adapter.modules) modules.push_back({path, m.rank, m.in, m.out, m.alpha});
    check_fits(modules, linears);
}

} // namespace atelier
