// Fetching the weights that are not resident while a recorded program runs: says, as ops are recorded, which unit they
// read. Where the units are is known later, so that one program runs with every residence.
#pragma once
#include "memory/placed_units.h"
#include "program/program.h"

namespace atelier {

class UnitStream {
public:
    static constexpr size_t kAlways = ~size_t{0}; // of what belongs to no unit and is always resident

    // Belongs to one program, whose ops point here.
    explicit UnitStream(Program& program) : program_(program) {}
    UnitStream(const UnitStream&) = delete;
    UnitStream& operator=(const UnitStream&) = delete;

    // Where the first fetches are issued: as early in the program as there is something to compute beside them.
    void start();
    // The ops that `emit` records read this unit's weights.
    template <class F>
    void use(size_t unit, F&& emit) {
        if (unit != kAlways) begin(unit);
        emit();
        if (unit != kAlways) emit_fetches();
    }
    // After recording; before the first run, and again before one with other units.
    void connect(const PlacedUnits& units);

private:
    struct Await {
        static constexpr const char* name = "await weights";
        static constexpr bool idle = true;
        const UnitStream* stream;
        size_t unit;
        void run(Ops&, const Program::Resolver&) const { stream->units_->await(unit); }
    };
    struct Fetch {
        static constexpr const char* name = "fetch weights";
        static constexpr bool idle = true;
        const UnitStream* stream;
        size_t point;
        void run(Ops&, const Program::Resolver&) const {
            for (const size_t unit : stream->fetches_[point]) stream->units_->fetch(unit);
        }
    };

    void begin(size_t unit);
    void emit_fetches(); // those that the end of the last use makes room for

    Program& program_;
    std::vector<size_t> uses_;
    std::vector<std::vector<size_t>> fetches_; // schedule_fetches
    const PlacedUnits* units_ = nullptr;
    bool started_ = false;
};

} // namespace atelier
