#include "program/unit_stream.h"
#include "base/error.h"
#include "memory/stream_schedule.h"

namespace atelier {

void UnitStream::start() {
    require(
        uses_.empty() && !started_, ErrorCode::internal, "a program's first fetches are recorded after its first use");
    started_ = true;
    emit_fetches();
}

void UnitStream::begin(size_t unit) {
    require(started_, ErrorCode::internal, "weights of unit ", unit, " are used before the program's first fetches");
    uses_.push_back(unit);
    program_.emit(Await{this, unit});
}

void UnitStream::emit_fetches() { program_.emit(Fetch{this, uses_.size()}); }

void UnitStream::connect(const PlacedUnits& units) {
    units_ = &units;
    fetches_ = schedule_fetches(uses_, [&](size_t unit) { return units.slot(unit); });
}

} // namespace atelier
