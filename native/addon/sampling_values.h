// The scheduler's settings, shared by the sampler and the stand-alone sigma schedule.
#pragma once
#include "atelier/engine.h"
#include "values.h"

namespace atelier::addon {

void scheduler_into(Sampler::Request&,
    Napi::Value); // {dynamicShifting, shift, baseShift, maxShift, baseSeqLen, maxSeqLen, numTrainTimesteps}

} // namespace atelier::addon
