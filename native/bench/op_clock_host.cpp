#include "host_clock.h"

namespace atelier::bench {

std::unique_ptr<OpClock> op_clock(Memory&) { return std::make_unique<HostClock>(); }

} // namespace atelier::bench
