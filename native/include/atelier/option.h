// What is said of an option beside its value, and enums by their names. What there is of both is in train_options.h,
// which is generated.
#pragma once
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace atelier {

struct OptionInfo {
    const char* name; // "learning_rate": in messages, in JSON and here
    // Of a number.
    double min = -std::numeric_limits<double>::infinity(), max = std::numeric_limits<double>::infinity();
    bool above_min = false, below_max = false; // the limit itself is not allowed

    bool allows(double value) const {
        return (above_min ? value > min : value >= min) && (below_max ? value < max : value <= max);
    }
};

template <class E>
struct EnumName {
    E value;
    const char* name;
};

// "adamw" of OptimizerKind::adamw; nullptr for a number that is no value. names_of lists an enum's names, found by its
// argument's type.
template <class E>
constexpr const char* name_of(E value) {
    for (const EnumName<E>& each : names_of(value))
        if (each.value == value) return each.name;
    return nullptr;
}

template <class E>
constexpr std::optional<E> value_named(std::string_view name) {
    for (const EnumName<E>& each : names_of(E{}))
        if (name == each.name) return each.value;
    return std::nullopt;
}

// "none, nf4, nf4_double"
template <class E>
std::string list_of_names() {
    std::string list;
    for (const EnumName<E>& each : names_of(E{})) list += (list.empty() ? "" : ", ") + std::string(each.name);
    return list;
}

} // namespace atelier
