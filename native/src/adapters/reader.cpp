#include "adapters/reader.h"
#include "adapters/refusals.h"
#include "adapters/set_aside.h"
#include "adapters/settings.h"
#include "adapters/values.h"
#include "base/error.h"
#include "formats/text.h"
#include <algorithm>
#include <cmath>
#include <set>

namespace atelier {
namespace {

constexpr char kNoConfig[] = "it is as peft saves it, and peft's adapter_config.json is not with it: alpha is taken as "
                             "the rank. Bring in both for "
                             "the strength that it was trained with";

struct ModuleTensors {
    FluxModule flux;
    std::string spelt; // as the file has it, without prefixes
    std::map<Role, const TensorView*> tensors;

    const TensorView* find(Role role) const {
        const auto it = tensors.find(role);
        return it == tensors.end() ? nullptr : it->second;
    }
};

bool same(const TensorView& x, const TensorView& y) {
    return x.dtype == y.dtype && x.shape == y.shape && std::ranges::equal(x.bytes, y.bytes);
}

class Sorter {
public:
    explicit Sorter(const SafetensorsFile& file) : file_(file) {
        for (const auto& [name, t] : file.tensors()) take(t);
        if (!unusable_.empty()) refuse_tensors(file.path(), unusable_, file.metadata());
        std::erase_if(modules_, [&](const auto& entry) {
            const ModuleTensors& m = entry.second;
            if (m.find(Role::down) || m.find(Role::up)) return false;
            aside_.add(SetAside::Kind::lone_alpha, m.find(Role::alpha)->name);
            return true;
        });
        require(!modules_.empty() || !aside_.has_encoders(), ErrorCode::unsupported, file.path(),
            ": holds only parts for the text encoders, which are not applied: nothing of the transformer is changed");
        require(!modules_.empty(), ErrorCode::corrupt, file.path(), ": holds no LoRA weights");
    }

    const std::map<std::string, ModuleTensors>& modules() const { return modules_; }
    const SetAside& aside() const { return aside_; }
    // Whether peft alone named the modules and nothing says their alpha.
    bool is_bare_peft() const {
        return std::ranges::all_of(modules_, [](const auto& entry) {
            const TensorView* a = entry.second.find(Role::down);
            return a && !entry.second.find(Role::alpha) && a->name.starts_with("base_model.model.");
        });
    }

private:
    void take(const TensorView& t) {
        if (t.bytes.empty()) return aside_.add(SetAside::Kind::no_values, t.name);
        const TensorName name = tensor_name(t.name);
        switch (name.owner) {
            case Owner::embedding: return aside_.add(SetAside::Kind::embedding, t.name);
            case Owner::clip:
            case Owner::t5: return aside_.add_encoder(name.owner, t.name, changes(name.role, t));
            case Owner::transformer: return take_own(name, t);
        }
    }

    void take_own(const TensorName& name, const TensorView& t) {
        if (name.role == Role::none && t.count() == 1 && name.module.find('.') == std::string::npos)
            return aside_.add(SetAside::Kind::counter, t.name);
        const bool change = name.role == Role::weight_diff || name.role == Role::bias_diff ||
                            name.role == Role::up_bias || name.role == Role::down_bias;
        if (change && is_zero(file_, t)) return aside_.add(SetAside::Kind::zero_change, t.name);
        FluxModule flux = flux_module(name.module);
        const bool usable = name.role == Role::down || name.role == Role::up || name.role == Role::alpha;
        if (usable && flux.known()) return take_part(std::move(flux), name, t);
        if (name.role == Role::alpha) return aside_.add(SetAside::Kind::lone_alpha, t.name);
        unusable_.push_back({t.name, name.role, flux.known(), t.shape});
    }

    void take_part(FluxModule&& flux, const TensorName& name, const TensorView& t) {
        std::string key;
        for (const std::string& part : flux.parts) key += part + " ";
        ModuleTensors& m = modules_[key];
        if (!m.flux.known()) {
            m.spelt = flux.parts.size() == 1 && !flux.by_bfl ? flux.parts[0] : name.module;
            m.flux = std::move(flux);
        }
        const auto [it, added] = m.tensors.emplace(name.role, &t);
        if (added) return;
        require(same(*it->second, t), ErrorCode::corrupt, file_.path(), ": ", in_quotes(t.name), " and ",
            in_quotes(it->second->name), " are the same module's and differ");
        aside_.add(SetAside::Kind::twice, t.name);
    }

    // Of a text encoder's: A alone and an alpha change nothing, nor does what is zero.
    bool changes(Role role, const TensorView& t) const {
        return role != Role::down && role != Role::alpha && !is_zero(file_, t);
    }

    const SafetensorsFile& file_;
    std::map<std::string, ModuleTensors> modules_; // by the diffusers paths that they are
    SetAside aside_;
    std::vector<UnusableTensor> unusable_;
};

// (rows, columns); a convolution of one by one is a linear.
std::pair<int64_t, int64_t> matrix(const SafetensorsFile& file, const TensorView& t) {
    const bool fits = t.shape.size() >= 2 && t.shape[0] > 0 && t.shape[1] > 0 &&
                      std::all_of(t.shape.begin() + 2, t.shape.end(), [](int64_t d) { return d == 1; });
    require(fits, ErrorCode::corrupt, file.path(), ": tensor ", in_quotes(t.name), " has shape ", shape_text(t.shape),
        ", expected a matrix");
    return {t.shape[0], t.shape[1]};
}

LoraModule read_pair(const SafetensorsFile& file, const ModuleTensors& tensors) {
    const TensorView *a = tensors.find(Role::down), *b = tensors.find(Role::up);
    require(a && b, ErrorCode::corrupt, file.path(), ": tensor ", in_quotes((a ? a : b)->name),
        " has no partner: ", a ? "the module's B (lora_B, lora_up)" : "the module's A (lora_A, lora_down)",
        " is not there");
    const auto [rank, in] = matrix(file, *a);
    const auto [out, columns] = matrix(file, *b);
    require(rank == columns, ErrorCode::corrupt, file.path(), ": tensors ", in_quotes(a->name), " ",
        shape_text(a->shape), " and ", in_quotes(b->name), " ", shape_text(b->shape), " differ in rank");
    return {rank, in, out, static_cast<float>(rank), read_values(file, *a), read_values(file, *b)};
}

void read_module(
    const SafetensorsFile& file, const ModuleTensors& tensors, const PeftSettings& settings, const TakeModule& take) {
    LoraModule m = read_pair(file, tensors);
    const TensorView* alpha = tensors.find(Role::alpha);
    const float said = alpha ? read_scalar(file, *alpha) : m.alpha;
    // A file in BFL's names that once was diffusers' may have kept that one's metadata, of other ranks.
    m.alpha = settings.known() && !(alpha && tensors.flux.by_bfl) ? settings.alpha(tensors.spelt, m.rank) : said;
    require(std::isfinite(m.alpha), ErrorCode::corrupt, file.path(), ": module ", in_quotes(tensors.spelt),
        " has alpha ", m.alpha);
    if (tensors.flux.shift_scale_swapped) {
        require(m.out % 2 == 0, ErrorCode::corrupt, file.path(), ": module ", in_quotes(tensors.spelt), " has ", m.out,
            " outputs, which do not make shift and scale");
        swap_halves(m);
    }
    split(tensors.flux, m, file.path(), take);
}

} // namespace

std::vector<std::string> read_modules(const SafetensorsFile& file, const TakeModule& take) {
    const PeftSettings settings = PeftSettings::of(file);
    const Sorter sorted(file);
    std::set<std::string> taken;
    for (const auto& [parts, tensors] : sorted.modules())
        read_module(file, tensors, settings, [&](const std::string& path, LoraModule&& m) {
            require(taken.insert(path).second, ErrorCode::corrupt, file.path(), ": module ", in_quotes(path),
                " is there twice, as a part of a fused linear and by itself");
            refuse_other_inputs(file.path(), path, m.in);
            take(path, std::move(m));
        });
    require(!taken.empty(), ErrorCode::corrupt, file.path(), ": holds no LoRA weights that are not zero");
    std::vector<std::string> notes = sorted.aside().said();
    if (!settings.known() && sorted.is_bare_peft()) notes.push_back(kNoConfig);
    return notes;
}

} // namespace atelier
