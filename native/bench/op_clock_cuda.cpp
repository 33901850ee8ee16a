#include "host_clock.h"
#include "ops/cuda/cuda_memory.h"

namespace atelier::bench {
namespace {

// One event before each op, on the ops' stream: what lies between two of them is the op's, its gaps included.
class CardClock final : public OpClock {
public:
    explicit CardClock(const cuda::CudaMemory& memory) : memory_(memory) {}
    ~CardClock() override {
        for (cudaEvent_t event : marks_) cudaEventDestroy(event);
    }
    CardClock(const CardClock&) = delete;
    CardClock& operator=(const CardClock&) = delete;

    void mark() override {
        cudaStream_t const stream = memory_.stream();
        cuda::check(cudaEventCreate(&marks_.emplace_back()), "event");
        cuda::check(cudaEventRecord(marks_.back(), stream), "event");
    }
    std::vector<double> milliseconds() override {
        std::vector<double> all;
        if (marks_.empty()) return all;
        cuda::check(cudaEventSynchronize(marks_.back()), "measured ops");
        for (size_t i = 1; i < marks_.size(); ++i) {
            float ms = 0;
            cuda::check(cudaEventElapsedTime(&ms, marks_[i - 1], marks_[i]), "event");
            all.push_back(ms);
        }
        return all;
    }

private:
    const cuda::CudaMemory& memory_;
    std::vector<cudaEvent_t> marks_;
};

} // namespace

std::unique_ptr<OpClock> op_clock(Memory& memory) {
    if (const auto* const card = dynamic_cast<const cuda::CudaMemory*>(&memory))
        return std::make_unique<CardClock>(*card);
    return std::make_unique<HostClock>();
}

} // namespace atelier::bench
