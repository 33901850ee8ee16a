#include "base/thread_pool.h"

namespace atelier {
namespace {

constexpr int kSpins = 4000; // about 50 microseconds, a little more than the gap between two ops

inline void relax() {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#else
    std::this_thread::yield();
#endif
}

} // namespace

ThreadPool::ThreadPool(int threads) {
    for (int i = 1; i < threads; ++i) workers_.emplace_back([this, i] { work(i); });
}

ThreadPool::~ThreadPool() {
    {
        std::lock_guard lock(mutex_);
        stop_ = true;
        generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
}

void ThreadPool::drain(int thread) {
    for (;;) {
        const int64_t task = next_.fetch_add(1, std::memory_order_relaxed);
        if (task >= tasks_) return;
        body_(context_, task, thread);
    }
}

void ThreadPool::run(int64_t tasks, Body body, void* context) {
    if (tasks <= 0) return;
    if (tasks == 1 || workers_.empty()) {
        for (int64_t i = 0; i < tasks; ++i) body(context, i, 0);
        return;
    }
    tasks_ = tasks;
    body_ = body;
    context_ = context;
    next_.store(0, std::memory_order_relaxed);
    busy_.store(static_cast<int>(workers_.size()), std::memory_order_relaxed);
    {
        std::lock_guard lock(mutex_); // a worker between its last look and its sleep must not miss this
        generation_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    drain(0);
    for (int spins = 0; busy_.load(std::memory_order_acquire) != 0; ++spins)
        spins < kSpins ? relax() : std::this_thread::yield();
}

void ThreadPool::work(int thread) {
    uint64_t seen = 0;
    for (;;) {
        for (int spins = 0; spins < kSpins && generation_.load(std::memory_order_acquire) == seen; ++spins) relax();
        if (generation_.load(std::memory_order_acquire) == seen) {
            std::unique_lock lock(mutex_);
            wake_.wait(lock, [&] { return generation_.load(std::memory_order_acquire) != seen; });
        }
        seen = generation_.load(std::memory_order_acquire);
        if (stop_) return;
        drain(thread);
        busy_.fetch_sub(1, std::memory_order_acq_rel);
    }
}

} // namespace atelier
