// Counts what a card would be asked to do instead of doing it: each kernel's launch, and the bytes of the matrices that
// it is handed. Memory has addresses then and nothing behind them, so that a model of full size is counted on any
// machine.
#pragma once
#include "tensor/dtype.h"
#include <cstddef>
#include <cstdint>
#include <functional>
#include <type_traits>

namespace emulated {

struct Launch {
    const void* kernel = nullptr; // its address; null: the runtime's own clearing or copying
    double bytes = 0; // of the matrices it names, once each; memory that is only pointed to is not known
};
// From here on each launch is told instead of run; {}: run again. For a process that does nothing else on the card.
void count_launches(std::function<void(const Launch&)> tell);
bool counting();

void launching(const void* kernel); // by launch(), before the arguments
void count_bytes(double bytes); // of one argument of it
void launched(); // in place of running it
void count(double bytes); // of the runtime's own
void* counted_memory(size_t bytes); // an address of the card's, never used before

// Of a kernel's argument: rows · cols of anything that looks like a matrix, q, k, v and their like of an attention's.
template <class T>
double bytes_named(const T& a) {
    const auto all = [](const auto&... parts) { return (bytes_named(parts) + ... + 0.0); };
    if constexpr (requires { a.data, a.rows, a.cols, a.dtype; })
        return a.data ? static_cast<double>(a.rows * a.cols) * static_cast<double>(atelier::dtype_size(a.dtype)) : 0;
    else if constexpr (requires { a.data, a.rows, a.cols, a.ld; })
        return a.data ? static_cast<double>(a.rows * a.cols) * static_cast<double>(sizeof(*a.data)) : 0;
    else if constexpr (requires { a.dout, a.dq; }) return all(a.dout, a.q, a.k, a.v, a.dq, a.dk, a.dv, a.lse, a.delta);
    else if constexpr (requires { a.q, a.lse; }) return all(a.q, a.k, a.v, a.o, a.lse);
    else if constexpr (requires { a.row, a.rows, a.col, a.cols; }) // of a weight that is made bf16
        return static_cast<double>(a.rows * a.cols) * (0.5 + 4.0 / 64 + 2);
    else return 0;
}

} // namespace emulated
