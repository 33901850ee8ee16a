// An op of a program is a record: a struct of its operands, with a name and the one call of the backend that it is.
//
//     struct GatedResidual { // r = x + gate ⊙ branch
//         static constexpr const char* name = "gated_residual";
//         Read x, gate, branch;
//         Write r;
//         void run(Ops& ops, const Program::Resolver& at) const {
//             ops.gated_residual(at(x), at(gate), at(branch), at(r));
//         }
//     };
//
// run() has no matrix but the record's members, and each says how it is used. So what an op touches is read off the
// struct: which matrices must be alive, whether somebody wrote what is read, how many bytes go by. A record that
// multiplies matrices says its cost_kind and flops() too.
#pragma once
#include "program/members.h"
#include "program/op_cost.h"
#include "program/sym.h"
#include "tensor/view.h"
#include "tensor/weight.h"
#include <type_traits>
#include <utility>
#include <vector>

namespace atelier {

enum class Access : uint8_t { read, write, update }; // update: what was there counts

// A null one is left out. Read and Write may be the same matrix where the op lets them.
template <Access A>
struct Operand : Sym {
    Operand() = default;
    Operand(const Sym& s) : Sym(s) {}
};
using Read = Operand<Access::read>;
using Write = Operand<Access::write>;
using Update = Operand<Access::update>;

// Any number of them.
template <Access A>
struct Operands {
    std::vector<Sym> all;
};
using Reads = Operands<Access::read>;
using Writes = Operands<Access::write>;

// A matrix that never changes, by its address on the host; ops find it through Constants, as they do a Weight or a
// const float*. A plain View lies where it says: low-rank matrices and their gradients.
struct Table {
    View host;
};

namespace detail {

template <class T>
inline constexpr bool kConstant = std::is_arithmetic_v<T> || std::is_enum_v<T> || std::is_pointer_v<T> ||
                                  std::is_same_v<T, View> || std::is_same_v<T, Table> || std::is_same_v<T, Weight>;

template <class F, Access A>
void visit(const Operand<A>& matrix, F&& f) {
    if (matrix) f(static_cast<const Sym&>(matrix), A);
}
template <class F, Access A>
void visit(const Operands<A>& matrices, F&& f) {
    for (const Sym& matrix : matrices.all)
        if (matrix) f(matrix, A);
}
template <class F, class T>
void visit(const T&, F&&) {
    static_assert(kConstant<T>, "a record's matrices are Read, Write, Update, Reads or Writes, so that none is missed");
}

} // namespace detail

// f(matrix, access) for every matrix of the program that a record touches.
template <class R, class F>
void for_each_matrix(const R& record, F&& f) {
    for_each_member(record, [&](const auto& member) { detail::visit(member, f); });
}

// Records that compute nothing: before the first other op inputs may be written, after the last one outputs be read.
template <class R>
inline constexpr bool kIdle = requires { requires R::idle; };

namespace detail {

inline double bytes_of(const View& m) {
    return static_cast<double>(m.rows * m.cols) * static_cast<double>(dtype_size(m.dtype));
}
inline double bytes_of(const Sym& m) {
    return static_cast<double>(m.rows * m.cols) * static_cast<double>(dtype_size(m.dtype));
}

} // namespace detail

template <class R>
OpCost cost_of(const R& record) {
    OpCost cost;
    if constexpr (kIdle<R>) return cost;
    for_each_matrix(record,
        [&](const Sym& m, Access access) { cost.bytes += (access == Access::update ? 2 : 1) * detail::bytes_of(m); });
    for_each_member(record, [&](const auto& member) {
        using Member = std::remove_cvref_t<decltype(member)>;
        if constexpr (std::is_same_v<Member, View>) cost.bytes += detail::bytes_of(member);
        if constexpr (std::is_same_v<Member, Table>) cost.bytes += detail::bytes_of(member.host);
    });
    constexpr bool has_kind = requires { R::cost_kind; }, multiplies = requires { record.flops(); };
    static_assert(has_kind == multiplies, "a record that multiplies says its cost_kind and flops(), others neither");
    if constexpr (multiplies) {
        cost.kind = R::cost_kind;
        cost.flops = record.flops();
        for_each_member(record, [&](const auto& member) {
            if constexpr (std::is_same_v<std::remove_cvref_t<decltype(member)>, Weight>)
                add_weight(cost, member, record.rows());
        });
    }
    return cost;
}

} // namespace atelier
