#include "atelier/engine.h"
#include "base/error.h"
#include "formats/adapter_file.h"
#include "formats/text.h"

namespace atelier {

Adapter Adapter::load(const std::string& file) { return read_adapter(file); }
void Adapter::save_diffusers(const std::string& file) const { write_diffusers_adapter(*this, file); }
void Adapter::save_kohya(const std::string& file) const { write_kohya_adapter(*this, file); }

void Adapter::validate(const FluxTransformer& model) const {
    check_adapter(*this, "adapter");
    std::map<std::string, const LinearModule*> linears;
    for (const LinearModule& m : model.modules()) linears[m.path] = &m;
    std::vector<std::string> unknown, misfit;
    for (const auto& [path, m] : modules) {
        const auto it = linears.find(path);
        if (it == linears.end()) unknown.push_back(path);
        else if (it->second->in != m.in || it->second->out != m.out)
            misfit.push_back(path + ": " + std::to_string(m.in) + " to " + std::to_string(m.out) + ", the model's is " +
                             std::to_string(it->second->in) + " to " + std::to_string(it->second->out));
    }
    require(unknown.empty(), ErrorCode::invalid_argument, "adapter: the model has no modules ", quoted_list(unknown),
        "; it was made for another model");
    require(misfit.empty(), ErrorCode::invalid_argument, "adapter: sizes do not fit the model: ", quoted_list(misfit),
        "; it was made for another model");
}

} // namespace atelier
