#include "adapters/set_aside.h"
#include "formats/text.h"

namespace atelier {
namespace {

// "3 alphas", "1 alpha"
std::string counted(size_t count, const std::string& one, const std::string& many) {
    return std::to_string(count) + " " + (count == 1 ? one : many);
}

std::string encoder(const char* which, size_t count, bool changes) {
    const std::string part = std::string("its part for ") + which + " (" + counted(count, "tensor", "tensors") + ")";
    return part + (changes ? " is not applied: pictures are drawn without it" : " is all zero and changes nothing");
}

} // namespace

void SetAside::add_encoder(Owner owner, const std::string& name, bool changes) {
    const Kind kind = owner == Owner::t5 ? Kind::t5 : Kind::clip;
    add(kind, name);
    changes_[kind] = changes_[kind] || changes;
}

std::vector<std::string> SetAside::said() const {
    std::vector<std::string> all;
    for (const auto& [kind, names] : names_) {
        const std::string list = ": " + quoted_list(names, 3);
        const bool changes = changes_.contains(kind) && changes_.at(kind);
        switch (kind) {
            case Kind::clip: all.push_back(encoder("CLIP", names.size(), changes)); break;
            case Kind::t5: all.push_back(encoder("T5", names.size(), changes)); break;
            case Kind::embedding:
                all.push_back("its trained words (" + counted(names.size(), "tensor", "tensors") +
                              ") are not applied: pictures are drawn without them");
                break;
            case Kind::lone_alpha:
                all.push_back(counted(names.size(), "alpha", "alphas") + " of modules without weights" + list);
                break;
            case Kind::zero_change:
                all.push_back(counted(names.size(), "change of a weight or bias that is",
                                  "changes of weights or biases that are") +
                              " all zero" + list);
                break;
            case Kind::no_values:
                all.push_back(counted(names.size(), "tensor", "tensors") + " without values" + list);
                break;
            case Kind::counter:
                all.push_back(counted(names.size(), "training counter", "training counters") + list);
                break;
            case Kind::twice:
                all.push_back(
                    counted(names.size(), "tensor that is", "tensors that are") + " there twice, alike" + list);
                break;
        }
    }
    return all;
}

} // namespace atelier
