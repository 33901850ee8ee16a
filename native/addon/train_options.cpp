// Training options from JavaScript, on the JS thread: those that proto/ declares by for_each_option, so that a new one
// needs nothing here.
#include "training_values.h"
#include <set>

namespace atelier::addon {

namespace {

void read(Napi::Value value, const std::string& name, int64_t& to) { to = count(value, name); }
void read(Napi::Value value, const std::string& name, uint64_t& to) { to = u64(value, name); }
void read(Napi::Value value, const std::string& name, double& to) { to = number(value, name); }
void read(Napi::Value value, const std::string& name, float& to) { to = static_cast<float>(number(value, name)); }
void read(Napi::Value value, const std::string& name, bool& to) { to = flag(value, name); }
void read(Napi::Value value, const std::string& name, std::vector<std::string>& to) { to = texts(value, name); }

template <class E>
    requires std::is_enum_v<E>
void read(Napi::Value value, const std::string& name, E& to) {
    to = named<E>(value, name);
}

template <class T>
void read(Napi::Value value, const std::string& name, std::optional<T>& to) {
    read(value, name, to.emplace());
}

// learning_rate is learningRate in JavaScript.
std::string in_javascript(const char* name) {
    std::string result;
    for (bool upper = false; *name; ++name) {
        if (*name != '_') result += upper ? static_cast<char>(std::toupper(static_cast<unsigned char>(*name))) : *name;
        upper = *name == '_';
    }
    return result;
}

} // namespace

TrainOptions train_options(Napi::Value value) {
    const Fields fields(value, "options");
    TrainOptions options;
    std::set<std::string> known;
    const auto take = [&](const char* name, auto& to) {
        const std::string key = in_javascript(name);
        known.insert(key);
        if (fields.has(key.c_str())) read(fields[key.c_str()], fields.path(key.c_str()), to);
    };
    for_each_option(options, [&](const OptionInfo& info, auto& to) { take(info.name, to); });
    int64_t memory_budget = 0; // bytes, which are numbers in JavaScript, where a seed's 64 bits are a BigInt
    take("memory_budget", memory_budget);
    options.memory_budget = static_cast<uint64_t>(memory_budget);
    take("vae_scaling", options.vae_scaling);
    take("vae_shift", options.vae_shift);
    take("dynamic_shifting", options.dynamic_shifting);
    take("shift", options.shift);
    take("num_train_timesteps", options.num_train_timesteps);
    for (const std::string& name : fields.names())
        if (!known.count(name))
            throw_js(value.Env(), "INVALID_ARGUMENT",
                fields.path(name.c_str()) + " is no training option: correct its spelling or leave it out");
    return options;
}

} // namespace atelier::addon
