// Every property of an op from one description of it (op_case.h), on every backend: what it computes, what its backward
// makes of it, that the same inputs give the same bits, and what it says that it costs.
#include <doctest/doctest.h>

#include "memory/arena.h"
#include "memory/constants.h"
#include "memory/transfer.h"
#include "ops/backends.h"
#include "ops/op_case.h"
#include "program/records/elements.h"
#include "program/records/ends.h"
#include <chrono>

using namespace atelier;
using namespace atelier::test;

namespace {

std::vector<OpCase> all_cases() {
    std::vector<OpCase> all = block_cases();
    for (auto&& more : {element_cases(), encoder_cases()}) all.insert(all.end(), more.begin(), more.end());
    return all;
}

std::vector<std::unique_ptr<Ops>> device_backends() {
    std::vector<std::unique_ptr<Ops>> all;
    for (const char* isa : {"portable", "avx2", "avx512"})
        for (const int threads : {1, 3}) try {
                all.push_back(make_cpu_ops({threads, isa}));
            } catch (const Error& e) {
                if (e.code() != ErrorCode::unsupported) throw; // a machine without this instruction set
            }
    for (const DType activations : {DType::f32, DType::bf16})
        for (const bool cramped : {false, true}) all.push_back(make_emulated_cuda_ops({cramped, activations}));
    if (!cuda_devices().empty()) all.push_back(make_cuda_ops(0));
    return all;
}

// One op in a program of its own on one backend.
class Run {
public:
    Run(Ops& ops, const OpCase& c, unsigned seed = 1) : ops_(ops), case_(c) {
        std::mt19937 random(seed);
        std::normal_distribution<float> normal;
        for (const OperandShape& shape : c.inputs)
            inputs.push_back(draw(shape, [&] { return normal(random) + static_cast<float>(c.mean); }));
        for (const int64_t length : c.constants)
            constants.push_back(draw({1, length, false}, [&] { return normal(random); }));
    }

    // What the op makes of its inputs. Its memory is full of NaN before, so that nothing passes that was not written.
    std::vector<std::vector<float>> forward() {
        Program p;
        const Matrices m = record(p);
        p.emit(op::Outputs{{m.out}});
        return run(p, m, m.out);
    }
    // The gradient of input g.of, and the gradient of the output that it was made from.
    std::pair<std::vector<float>, Values> backward(const OpCase::Gradient& g) {
        Program p;
        const Sym dy = matrix(p, case_.outputs.front(), "dy"), dx = matrix(p, case_.inputs[g.of], "dx");
        std::mt19937 random(2);
        std::normal_distribution<float> normal;
        inputs.push_back(draw(case_.outputs.front(), [&] { return normal(random); }));
        const Matrices m = record(p, dy);
        if (g.adds) p.emit(op::Fill{dx, kThere});
        g.emit(p, m.in, pointers(), m.out, dy, dx);
        p.emit(op::Outputs{{{dx}}});
        std::vector<float> gradient = run(p, m, {dx}).front();
        const Values upstream(inputs.back().begin(), inputs.back().end());
        inputs.pop_back();
        return {std::move(gradient), upstream};
    }

    std::vector<Values> doubles(const std::vector<std::vector<float>>& all) const {
        std::vector<Values> wide;
        for (const std::vector<float>& values : all) wide.emplace_back(values.begin(), values.end());
        return wide;
    }
    std::vector<Values> expected() const { return case_.reference(doubles(inputs), doubles(constants)); }

    static constexpr float kThere = 0.5f; // what a gradient is added to
    std::vector<std::vector<float>> inputs, constants; // as the backend has them
    OpCost cost; // of the op, after forward()
    double milliseconds = 0;

private:
    struct Matrices {
        std::vector<Sym> in, out;
    };
    DType type(const OperandShape& s) const { return s.kept ? ops_.activations() : DType::f32; }
    Sym matrix(Program& p, const OperandShape& s, const char* name) const {
        return p.temp(s.rows, s.cols, name, type(s));
    }
    template <class F>
    std::vector<float> draw(const OperandShape& s, F&& next) const {
        std::vector<float> values(static_cast<size_t>(s.size()));
        for (float& v : values) v = type(s) == DType::bf16 ? bf16_to_float(float_to_bf16(next())) : next();
        return values;
    }
    std::vector<const float*> pointers() const {
        std::vector<const float*> all;
        for (const std::vector<float>& values : constants) all.push_back(values.data());
        return all;
    }

    Matrices record(Program& p, const Sym& further_input = {}) {
        Matrices m;
        for (const OperandShape& s : case_.inputs) m.in.push_back(matrix(p, s, "input"));
        if (further_input) m.in.push_back(further_input);
        for (const OperandShape& s : case_.outputs) m.out.push_back(matrix(p, s, "output"));
        p.emit(op::Inputs{{m.in}});
        op_ = p.op_count();
        case_.emit(p, m.in, pointers(), m.out);
        cost = p.op(op_).cost();
        return m;
    }

    std::vector<std::vector<float>> run(Program& p, const Matrices& m, const std::vector<Sym>& results) {
        Memory& memory = ops_.memory();
        const uint64_t bytes = p.plan().arena_bytes;
        const Arena arena(memory, bytes);
        memory.upload(arena.data(), std::vector(bytes, std::byte{0xff}).data(), bytes);
        Constants placed(memory);
        for (const std::vector<float>& values : constants) placed.add(values);
        placed.place();
        p.read_from(placed);
        const Program::Resolver at = p.resolver(arena.data());
        for (size_t i = 0; i < m.in.size(); ++i) write(at(m.in[i]), inputs[i]);
        const auto begin = std::chrono::steady_clock::now();
        p.run(ops_, arena.data());
        std::vector<std::vector<float>> made;
        for (const Sym& s : results) made.push_back(values_of(memory, at(s)));
        milliseconds = std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
        return made;
    }
    void write(const View& to, const std::vector<float>& values) const {
        if (to.dtype != DType::bf16) return write_view(ops_.memory(), to, values.data());
        std::vector<uint16_t> narrow(values.size());
        std::transform(values.begin(), values.end(), narrow.begin(), float_to_bf16);
        write_view(ops_.memory(), to, narrow.data());
    }

    Ops& ops_;
    const OpCase& case_;
    size_t op_ = 0;
};

// d (sum f(x) · dy) / dx by central differences in double precision
Values numeric_gradient(
    const OpCase& c, std::vector<Values> in, const std::vector<Values>& constants, size_t of, const Values& dy) {
    Values gradient(in[of].size());
    for (size_t i = 0; i < gradient.size(); ++i) {
        const double at = in[of][i], h = 1e-5;
        for (const double side : {1.0, -1.0}) {
            in[of][i] = at + side * h;
            const Values y = c.reference(in, constants).front();
            for (size_t j = 0; j < y.size(); ++j) gradient[i] += side * y[j] * dy[j] / (2 * h);
        }
        in[of][i] = at;
    }
    return gradient;
}

} // namespace

TEST_CASE("records: every op computes what its description says, on every backend") {
    const auto backends = device_backends();
    for (const OpCase& c : all_cases())
        for (const auto& ops : backends) {
            CAPTURE(c.name);
            CAPTURE(ops->name());
            Run run(*ops, c);
            const auto made = run.forward();
            const std::vector<Values> expected = run.expected();
            REQUIRE(made.size() == expected.size());
            for (size_t i = 0; i < made.size(); ++i)
                CHECK(relative_error(made[i], expected[i]) < (c.outputs[i].kept ? tolerance(*ops, c.error) : c.error));
        }
}

TEST_CASE("records: backward is the slope of the description, on every backend") {
    const auto backends = device_backends();
    for (const OpCase& c : all_cases())
        for (const OpCase::Gradient& g : c.gradients)
            for (const auto& ops : backends) {
                CAPTURE(c.name);
                CAPTURE(g.of);
                CAPTURE(ops->name());
                Run run(*ops, c);
                const auto [gradient, dy] = run.backward(g);
                Values expected = numeric_gradient(c, run.doubles(run.inputs), run.doubles(run.constants), g.of, dy);
                if (g.adds)
                    for (double& v : expected) v += Run::kThere;
                CHECK(relative_error(gradient, expected) < (c.inputs[g.of].kept ? tolerance(*ops, g.error) : g.error));
            }
}

TEST_CASE("records: the same inputs give the same bits, whatever the memory held and however many threads compute") {
    const auto backends = device_backends();
    for (const OpCase& c : all_cases())
        for (size_t i = 0; i < backends.size(); ++i) {
            CAPTURE(c.name);
            CAPTURE(backends[i]->name());
            const auto made = Run(*backends[i], c).forward();
            CHECK(Run(*backends[i], c).forward() == made);
            CHECK(Run(*backends[i], c, 2).forward() != made); // so that equality means something
            if (i > 0 && std::string(backends[i]->name()) == backends[i - 1]->name() &&
                backends[i]->activations() == backends[i - 1]->activations())
                CHECK(Run(*backends[i - 1], c).forward() == made);
        }
}

TEST_CASE("records: what an op costs is the bytes of the matrices that its description has") {
    const auto ops = make_cpu_ops({1, "auto"});
    for (const OpCase& c : all_cases()) {
        CAPTURE(c.name);
        Run run(*ops, c);
        run.forward();
        double bytes = 0;
        for (const auto& shapes : {c.inputs, c.outputs})
            for (const OperandShape& s : shapes) bytes += static_cast<double>(s.size()) * sizeof(float);
        CHECK(run.cost.bytes >= bytes); // tables and what is kept between are more
        CHECK(run.cost.bytes <= 2.5 * bytes);
        MESSAGE(c.name, ": ", run.cost.bytes / run.milliseconds / 1e6, " GB/s");
    }
}
