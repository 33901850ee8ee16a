// A program is the flat list of ops of one piece of work (a micro-step, a denoising step, a VAE decode), recorded once,
// planned, run often.
//
// Model code emits ops on symbolic matrices (Sym). Nothing is computed while recording. plan() gives each buffer the
// interval between its first and last op and places the intervals in one arena, so the peak is known to the byte before
// anything runs. run() walks the list with resolved pointers and allocates nothing. Backward is emitted by hand like
// forward: a tensor saved for backward is simply one that a later op reads, and recompute is emitting the forward ops
// once more.
#pragma once
#include "base/progress.h"
#include "tensor/view.h"
#include "tensor/weight.h"
#include <functional>
#include <string>
#include <vector>

namespace atelier {

class Constants;
class Ops;

using BufferId = uint32_t;
inline constexpr BufferId kNoBuffer = ~0u;

// A matrix inside a buffer of the program; row and column slices share the buffer.
struct Sym {
    BufferId buffer = kNoBuffer;
    int64_t offset = 0; // elements from the buffer's start
    int64_t rows = 0, cols = 0, ld = 0;
    DType dtype = DType::f32;

    explicit operator bool() const { return buffer != kNoBuffer; }
    Sym row_range(int64_t begin, int64_t count) const;
    Sym col_range(int64_t begin, int64_t count) const;
    Sym reshape(int64_t new_rows, int64_t new_cols) const; // contiguous only
};

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
        // A null Sym gives a null View. While an op runs: only matrices that live then, since the memory of another may
        // be somebody else's by now; `internal`, naming both, if not.
        View operator()(const Sym& s) const;
        Weight operator()(const Weight& constant) const;
        const float* operator()(const float* constant) const;
        View operator()(const View& constant) const;
        uint64_t high_water() const {
            return high_water_;
        } // end of the furthest matrix handed out so far, bytes from the arena's start

    private:
        friend class Program;
        static constexpr int64_t kOutside = -1;

        const Program& program_;
        std::byte* arena_;
        int64_t op_ = kOutside; // the one that runs
        mutable uint64_t high_water_ = 0;
    };
    using Run = std::function<void(Ops&, const Resolver&)>;

    // `touches`: every matrix the op reads or writes, scratch included; null ones are ignored.
    void emit(const char* name, std::initializer_list<Sym> touches, Run run);
    void emit(const char* name, const std::vector<Sym>& touches, Run run);
    // An op that was emitted before touches these too: for transfers that begin earlier than what they are for is
    // recorded.
    void touch_at(size_t op, const std::vector<Sym>& touches);

    // Computed at the first call after recording; recording further ops makes it stale and is refused.
    const ProgramPlan& plan();

    // `arena` holds plan().arena_bytes, aligned to kAlignment. Cancellation is checked between ops. Returns the high
    // water: the bytes of the arena that ops were in fact given, to be held against the plan.
    uint64_t run(Ops& ops, std::byte* arena, const Progress& progress = {}) const;
    Resolver resolver(std::byte* arena) const { return Resolver(*this, arena); }

    size_t op_count() const { return ops_.size(); }

private:
    struct Buffer {
        uint64_t bytes;
        const char* name;
        int64_t first = -1, last = -1; // op indices
        bool persistent;
        bool external = false;
        void* bound = nullptr; // of an external buffer
    };
    struct Op {
        const char* name;
        Run run;
    };

    Sym add(int64_t rows, int64_t cols, const char* name, DType dtype, bool persistent);
    void touch(const Sym& s, int64_t op);
    void check_alive(const Buffer& b, int64_t op) const;

    std::vector<Buffer> buffers_;
    std::vector<Op> ops_;
    ProgramPlan plan_;
    bool planned_ = false;
    const Constants* constants_ = nullptr;
};

} // namespace atelier
