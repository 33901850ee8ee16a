// Kept tensors that spend the time until they are read again in host memory. Recorded with a program's ops as what
// leaves and what comes back; when the transfers run follows from the order: beside the steps in between, with at most
// two items on their way in each direction.
#pragma once
#include "memory/memory.h"
#include "program/program.h"

namespace atelier {

class Parking {
public:
    // Belongs to one program, whose ops point here.
    explicit Parking(Program& program) : program_(program) {}
    Parking(const Parking&) = delete;
    Parking& operator=(const Parking&) = delete;

    // Before each piece of work that is long enough to hide a transfer, a block's forward or backward say.
    void step();
    // After the ops that write them: these matrices leave, and their memory is free when the next item leaves, or for
    // the last after one step more. Each is contiguous, null ones are left out. Every item comes back once.
    size_t leave(const std::vector<Sym>& matrices);
    // Before the ops that read them: the same matrices in other memory, taken from when the item before was needed, or
    // for the first from one step ahead. Null ones stay null.
    std::vector<Sym> back(size_t item);

    uint64_t host_bytes() const { return host_bytes_; } // of page-locked memory; fixed when recording
    // `host`: host_bytes of Memory::reserve_host; before the first run.
    void connect(std::byte* host) { host_ = host; }

private:
    struct Item {
        std::vector<Sym> from, to; // before and after
        std::vector<uint64_t> offsets; // in host memory
        size_t home = 0; // the first point at which it has left
    };
    // An op that waits and begins transfers; some of it is decided only later.
    struct Point {
        size_t op = 0;
        bool await_out = false, await_back = false;
        std::vector<size_t> fetches; // items
    };
    static constexpr size_t kNone = ~size_t{0};

    // Records. What a point fetches is decided after it was emitted, and touched then.
    struct Park {
        static constexpr const char* name = "park";
        const Parking* parking;
        size_t item;
        bool wait;
        Reads leaving, left; // left: the item before, which had this item's step to leave beside
        void run(Ops& ops, const Program::Resolver& at) const;
    };
    struct Transfers {
        static constexpr const char* name = "transfers";
        const Parking* parking;
        size_t point;
        Writes back;
        void run(Ops& ops, const Program::Resolver& at) const;
    };

    size_t emit_point(bool await_back, std::vector<Sym> back);
    void settle(); // the last item that left

    Program& program_;
    std::vector<Item> items_;
    std::vector<Point> points_;
    size_t leaving_ = kNone, leaving_since_ = 0; // item whose leaving nobody has waited for; the point after it
    size_t last_back_ = kNone; // point at which the last item came back
    uint64_t host_bytes_ = 0;
    std::byte* host_ = nullptr;
};

// Ops and uploads that are issued from here on follow every transfer of a run that ended half-way.
void await_parking(Memory& memory);

} // namespace atelier
