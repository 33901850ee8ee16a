// The members of a plain struct, one by one: what C++20 has no word for. Enough for records of ops, whose members are
// listed in their struct and nowhere else.
#pragma once
#include <cstddef>
#include <type_traits>

namespace atelier {
namespace detail {

// Stands for a member of any type while members are counted; never made.
struct AnyMember {
    template <class T>
    operator T() const;
};

template <class T, class... Members>
constexpr size_t count_members() {
    if constexpr (requires { T{Members{}..., AnyMember{}}; }) return count_members<T, Members..., AnyMember>();
    else return sizeof...(Members);
}

} // namespace detail

template <class T>
inline constexpr size_t kMembers = detail::count_members<T>();

// f(member) for each, in order.
template <class T, class F>
    requires std::is_aggregate_v<T>
constexpr void for_each_member(const T& all, F&& f) {
    const auto each = [&](const auto&... member) { (f(member), ...); };
    static_assert(kMembers<T> <= 14, "one more line below for each further member");
    if constexpr (kMembers<T> == 1) {
        const auto& [a] = all;
        each(a);
    } else if constexpr (kMembers<T> == 2) {
        const auto& [a, b] = all;
        each(a, b);
    } else if constexpr (kMembers<T> == 3) {
        const auto& [a, b, c] = all;
        each(a, b, c);
    } else if constexpr (kMembers<T> == 4) {
        const auto& [a, b, c, d] = all;
        each(a, b, c, d);
    } else if constexpr (kMembers<T> == 5) {
        const auto& [a, b, c, d, e] = all;
        each(a, b, c, d, e);
    } else if constexpr (kMembers<T> == 6) {
        const auto& [a, b, c, d, e, g] = all;
        each(a, b, c, d, e, g);
    } else if constexpr (kMembers<T> == 7) {
        const auto& [a, b, c, d, e, g, h] = all;
        each(a, b, c, d, e, g, h);
    } else if constexpr (kMembers<T> == 8) {
        const auto& [a, b, c, d, e, g, h, i] = all;
        each(a, b, c, d, e, g, h, i);
    } else if constexpr (kMembers<T> == 9) {
        const auto& [a, b, c, d, e, g, h, i, j] = all;
        each(a, b, c, d, e, g, h, i, j);
    } else if constexpr (kMembers<T> == 10) {
        const auto& [a, b, c, d, e, g, h, i, j, k] = all;
        each(a, b, c, d, e, g, h, i, j, k);
    } else if constexpr (kMembers<T> == 11) {
        const auto& [a, b, c, d, e, g, h, i, j, k, l] = all;
        each(a, b, c, d, e, g, h, i, j, k, l);
    } else if constexpr (kMembers<T> == 12) {
        const auto& [a, b, c, d, e, g, h, i, j, k, l, m] = all;
        each(a, b, c, d, e, g, h, i, j, k, l, m);
    } else if constexpr (kMembers<T> == 13) {
        const auto& [a, b, c, d, e, g, h, i, j, k, l, m, n] = all;
        each(a, b, c, d, e, g, h, i, j, k, l, m, n);
    } else if constexpr (kMembers<T> == 14) {
        const auto& [a, b, c, d, e, g, h, i, j, k, l, m, n, o] = all;
        each(a, b, c, d, e, g, h, i, j, k, l, m, n, o);
    }
}

} // namespace atelier
