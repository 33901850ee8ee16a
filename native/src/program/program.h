// A program is the flat list of ops of one piece of work (a micro-step, a denoising step, a VAE decode), recorded once,
// planned, run often.
//
// Model code emits ops, which are records (program/record.h), on symbolic matrices (Sym). Nothing is computed while
// recording. plan() gives each buffer the interval between its first and last op and places the intervals in one arena,
// so the peak is known to the byte before anything runs. run() walks the list with resolved pointers and allocates
// nothing. Backward is emitted by hand like forward: a tensor saved for backward is simply one that a later op reads,
// and recompute is emitting the forward ops once more.
#pragma once
#include "base/progress.h"
#include "program/record.h"
#include <functional>
#include <memory>
#include <vector>

namespace atelier {

class Constants;
class Ops;

struct ProgramPlan {
    uint64_t arena_bytes = 0; // what run() needs, exactly
    uint64_t lower_bound_bytes = 0; // largest sum of live buffers at any op: no placement can beat it
    std::vector<uint64_t> offsets; // by BufferId
};

class Program {
public:
    static constexpr uint64_t kAlignment = 64;

    // Lives from the op that first touches it to the one that last does.
    Sym temp(int64_t rows, int64_t cols, const char* name, DType dtype = DType::f32);
    // Lives throughout: inputs that are filled before run(), outputs that are read after it.
    Sym persistent(int64_t rows, int64_t cols, const char* name, DType dtype = DType::f32);
    // Lives outside the arena, where bind() says: what several programs share, or what changes from run to run.
    Sym external(int64_t rows, int64_t cols, const char* name, DType dtype = DType::f32);
    void bind(const Sym& external, void* data); // contiguous; called again before a run() that is to use other memory

    // Where ops find the weights, biases and tables that they were recorded with; must outlive run(). Without it they
    // lie where they are.
    void read_from(const Constants& constants) { constants_ = &constants; }

    class Resolver {
    public:
        Resolver(const Program& program, std::byte* arena) : program_(program), arena_(arena) {}
        // A null Sym gives a null View. `internal`, naming it, for a matrix that does not live now, since its memory
        // may be somebody else's: while an op runs it must live then, at other times be an input or an output.
        View operator()(const Sym& s) const;
        Weight operator()(const Weight& constant) const;
        const float* operator()(const float* constant) const;
        View operator()(const Table& constant) const;
        uint64_t high_water() const {
            return high_water_;
        } // end of the furthest matrix handed out so far, bytes from the arena's start

    private:
        friend class Program;

        const Program& program_;
        std::byte* arena_;
        size_t op_ = kNever; // the one that runs
        mutable uint64_t high_water_ = 0;
    };

    // An op, as the program keeps it.
    class Op {
    public:
        virtual ~Op() = default;
        virtual const char* name() const = 0;
        virtual OpCost cost() const = 0;
        virtual void run(Ops& ops, const Resolver& at) const = 0;
    };

    template <class R>
    void emit(R record) {
        begin_op(R::name, kIdle<R>);
        for_each_matrix(record, [&](const Sym& s, Access access) { touch(s, access, ops_.size()); });
        ops_.push_back(std::make_unique<Recorded<R>>(std::move(record)));
    }
    // An op that was emitted before touches these too: for transfers that begin earlier than what they are for is
    // recorded.
    void touch_at(size_t op, const std::vector<Sym>& matrices, Access access);

    // Computed at the first call after recording; recording further ops is refused from then on. `internal`, naming it,
    // for a matrix that is read before an op wrote it.
    const ProgramPlan& plan();

    // `arena` holds plan().arena_bytes, aligned to kAlignment. Cancellation is checked between ops. Returns the high
    // water: the bytes of the arena that ops were in fact given, to be held against the plan.
    // `before` is told each op's index before it runs, and op_count() after the last: for what counts or times them.
    uint64_t run(Ops& ops, std::byte* arena, const Progress& progress = {},
        const std::function<void(size_t op)>& before = {}) const;
    Resolver resolver(std::byte* arena) const { return Resolver(*this, arena); }

    size_t op_count() const { return ops_.size(); }
    const Op& op(size_t index) const { return *ops_[index]; }

    struct Span { // ops
        size_t begin = 0, end = 0;
    };
    // Of the matrices that `from` makes and that `to`, later, still uses, not counting persistent ones.
    uint64_t bytes_carried(Span from, Span to) const;

private:
    static constexpr size_t kNever = ~size_t{0};
    struct Buffer {
        uint64_t bytes;
        const char* name;
        bool persistent;
        bool external = false;
        void* bound = nullptr; // of an external buffer
        size_t first = kNever, last = 0; // op indices
        size_t written = kNever, read = kNever; // the first op that does
        bool used() const { return first != kNever; }
    };
    template <class R>
    class Recorded final : public Op {
    public:
        explicit Recorded(R record) : record_(std::move(record)) {}
        const char* name() const override { return R::name; }
        OpCost cost() const override { return cost_of(record_); }
        void run(Ops& ops, const Resolver& at) const override { record_.run(ops, at); }

    private:
        const R record_;
    };

    Sym add(int64_t rows, int64_t cols, const char* name, DType dtype, bool persistent);
    void begin_op(const char* name, bool idle);
    void touch(const Sym& s, Access access, size_t op);
    void check_alive(const Buffer& buffer, size_t op) const;

    std::vector<Buffer> buffers_;
    std::vector<std::unique_ptr<const Op>> ops_;
    size_t first_busy_ = kNever, last_busy_ = 0; // ops that are not idle
    ProgramPlan plan_;
    bool planned_ = false;
    const Constants* constants_ = nullptr;
};

} // namespace atelier
