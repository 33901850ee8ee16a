#pragma once
#include "op_clock.h"
#include <chrono>

namespace atelier::bench {

class HostClock final : public OpClock {
public:
    void mark() override { marks_.push_back(std::chrono::steady_clock::now()); }
    std::vector<double> milliseconds() override {
        std::vector<double> all;
        for (size_t i = 1; i < marks_.size(); ++i)
            all.push_back(std::chrono::duration<double, std::milli>(marks_[i] - marks_[i - 1]).count());
        return all;
    }

private:
    std::vector<std::chrono::steady_clock::time_point> marks_;
};

} // namespace atelier::bench
