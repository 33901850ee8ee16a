// One description of an op: its record, its operands and what it computes, in double precision. op_records_test takes
// every property from it: correctness, gradient, determinism, cost and speed, on every backend.
#pragma once
#include "program/program.h"
#include <functional>
#include <random>
#include <string>
#include <vector>

namespace atelier::test {

using Values = std::vector<double>;

// A matrix of an op. `kept`: activations, which a backend may keep as bf16; others are always fp32.
struct OperandShape {
    int64_t rows, cols;
    bool kept = true;
    int64_t size() const { return rows * cols; }
};

struct OpCase {
    std::string name;
    std::vector<OperandShape> inputs, outputs;
    std::vector<int64_t> constants; // lengths of vectors that ops find through Constants: weights of norms, tables
    std::function<void(
        Program&, const std::vector<Sym>& in, const std::vector<const float*>& constants, const std::vector<Sym>& out)>
        emit;
    // What the outputs are, of inputs and constants as the backend has them.
    std::function<std::vector<Values>(const std::vector<Values>& in, const std::vector<Values>& constants)> reference;
    double error = 2e-6; // of the backends' fp32 sums, relative to the largest value
    double mean = 0; // of the inputs, which are drawn with deviation 1

    // The op's backward: what it adds to, or leaves in, the gradient of input `of`, for the gradient `dy` of the first
    // output; held against central differences of `reference`. It may use the outputs that forward left.
    struct Gradient {
        size_t of = 0;
        bool adds = false; // to what is there
        std::function<void(Program&, const std::vector<Sym>& in, const std::vector<const float*>& constants,
            const std::vector<Sym>& out, const Sym& dy, const Sym& dx)>
            emit;
        double error = 1e-5;
    };
    std::vector<Gradient> gradients;
};

std::vector<OpCase> block_cases();
std::vector<OpCase> element_cases();
std::vector<OpCase> encoder_cases();

} // namespace atelier::test
