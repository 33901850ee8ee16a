// How long work reports and how it is stopped. Both are polled or called from the worker thread, between ops.
#pragma once
#include "base/error.h"
#include <atomic>
#include <functional>

namespace atelier {

struct Progress {
    std::function<void(double done, double total, const char* stage)> report; // may be empty
    const std::atomic<bool>* cancelled = nullptr;                            // may be null

    void operator()(double done, double total, const char* stage) const {
        if (report) report(done, total, stage);
    }
    void check() const {
        if (cancelled && cancelled->load(std::memory_order_relaxed))
            fail(ErrorCode::cancelled, "cancelled by the caller");
    }
};

} // namespace atelier
