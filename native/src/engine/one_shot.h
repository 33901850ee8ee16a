// Runs a program once: plans it, fills its inputs, runs it in an arena of its own, and reads its output. The encoders
// work this way: their shapes change from call to call, and memory held between calls would be memory the trainer
// lacks.
#pragma once
#include "engine/device.h"
#include "memory/transfer.h"

namespace atelier {

template <class Fill, class Read>
void run_once(Device& device, Program& program, Fill&& fill, Read&& read, const Progress& progress = {}) {
    const Arena arena(device.impl->ops->memory(), program.plan().arena_bytes);
    const Program::Resolver at = program.resolver(arena.data());
    fill(at);
    const std::lock_guard lock(device.impl->busy);
    program.run(*device.impl->ops, arena.data(), progress);
    read(at);
}

// The rows of a matrix, copied out; an Error (internal) that names `what` if the numbers are not finite.
std::vector<float> read_rows(Memory& memory, const View& view, const char* what);

// Throws invalid_argument unless there are `count` finite values.
void check_input(std::span<const float> values, int64_t count, const char* what);

} // namespace atelier
