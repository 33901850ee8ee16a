// The scheduler's settings, shared by the sampler and the stand-alone sigma schedule.
#pragma once
#include "atelier/engine.h"
#include "values.h"

namespace atelier::addon {

// {dynamicShifting, shift, baseShift, maxShift, baseSeqLen, maxSeqLen, numTrainTimesteps}
SchedulerSettings scheduler_of(Napi::Value);

} // namespace atelier::addon
