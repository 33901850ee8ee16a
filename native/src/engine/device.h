// What the facades of the public header know of a Device: its ops, and how to run one program on them.
#pragma once
#include "atelier/device.h"
#include "atelier/types.h"
#include "memory/arena.h"
#include "ops/ops.h"
#include "planning/device_profile.h"
#include "program/program.h"
#include <mutex>

namespace atelier {

struct Device::Impl {
    std::unique_ptr<Ops> ops;
    std::mutex busy; // held while a program runs: models on one device share its threads and workspace
    std::string description;
    DeviceProfile profile = host_profile(); // what plans cost by
};

inline Progress internal_progress(const EngineProgress& progress) { return {progress.report, progress.cancelled}; }

} // namespace atelier
