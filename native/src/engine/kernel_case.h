// One op on the same numbers twice: by the CPU backend, and by another with its own memory.
#pragma once
#include "ops/ops.h"
#include "quant/nf4.h"
#include <deque>
#include <functional>
#include <random>

namespace atelier {

class KernelCase {
public:
    KernelCase(Ops& card, Ops& cpu, unsigned seed) : card_(card), cpu_(cpu), random_(seed) {}
    ~KernelCase();
    KernelCase(const KernelCase&) = delete;
    KernelCase& operator=(const KernelCase&) = delete;

    enum class Type : uint8_t { kept, f32, u8 }; // kept: as the card's backend keeps activations
    // Matrices by number. Inputs are drawn, and for both what the card's type leaves of them.
    size_t input(int64_t rows, int64_t cols, Type type = Type::kept, float deviation = 1);
    // Written by the op, or added to: it begins as `value`.
    size_t output(int64_t rows, int64_t cols, Type type = Type::kept, float value = 0);
    size_t weight(int64_t rows, int64_t cols); // NF4

    // What an op sees: its matrices where its backend reads them.
    struct At {
        const KernelCase& of;
        bool on_card;
        View operator[](size_t matrix) const;
        View part(size_t matrix, int64_t first, int64_t cols) const; // some of its columns
        const float* floats(size_t matrix) const { return (*this)[matrix].f32(); }
        Weight weight(size_t index) const;
    };
    // The largest difference of any output over the largest value of that output.
    double difference(const std::function<void(Ops&, const At&)>& op);

private:
    struct Matrix {
        std::vector<float> values;
        std::vector<uint8_t> codes; // of u8
        int64_t rows, cols;
        Type type;
        bool written;
        void* there = nullptr;
    };
    struct Quantised {
        Nf4Storage storage;
        Weight here, there;
        std::vector<void*> held;
    };
    size_t add(int64_t rows, int64_t cols, Type type, bool written);
    bool narrow(const Matrix& m) const { return m.type == Type::kept && card_.activations() == DType::bf16; }
    void* upload(const void* from, uint64_t bytes);
    void send(Matrix& m);
    double compare(const Matrix& m);

    Ops &card_, &cpu_;
    std::mt19937 random_;
    std::deque<Matrix> matrices_;
    std::deque<Quantised> weights_;
};

} // namespace atelier
