// What of an adapter's file is left out without changing what it is taken in as, to be said once.
#pragma once
#include "adapters/tensor_names.h"
#include <map>
#include <string>
#include <vector>

namespace atelier {

class SetAside {
public:
    enum class Kind { clip, t5, embedding, lone_alpha, zero_change, no_values, counter, twice };

    void add(Kind kind, const std::string& name) { names_[kind].push_back(name); }
    // A tensor of a text encoder, and whether it alone changes what that one computes.
    void add_encoder(Owner owner, const std::string& name, bool changes);
    bool has_encoders() const { return names_.contains(Kind::clip) || names_.contains(Kind::t5); }
    // A sentence for each kind.
    std::vector<std::string> said() const;

private:
    std::map<Kind, std::vector<std::string>> names_;
    std::map<Kind, bool> changes_;
};

} // namespace atelier
