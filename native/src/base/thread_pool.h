// A fixed team of threads for short parallel loops: workers spin a little for the next loop, then sleep. No allocation
// per loop.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace atelier {

class ThreadPool {
public:
    explicit ThreadPool(int threads); // the caller is one of them
    ~ThreadPool();
    ThreadPool(const ThreadPool&) = delete;
    ThreadPool& operator=(const ThreadPool&) = delete;

    int threads() const { return static_cast<int>(workers_.size()) + 1; }

    // f(task, thread) for task in [0, tasks), each once, in any order. Returns when all are done. `f` must not throw.
    template <class F>
    void for_each(int64_t tasks, F&& f) {
        using Body = std::remove_reference_t<F>;
        run(
            tasks, [](void* context, int64_t task, int thread) { (*static_cast<Body*>(context))(task, thread); },
            const_cast<void*>(static_cast<const void*>(&f)));
    }

    // f(begin, end, thread) over [0, count) in even pieces of at least `grain`.
    template <class F>
    void for_ranges(int64_t count, int64_t grain, F&& f) {
        int64_t pieces = (count + grain - 1) / grain;
        if (pieces > threads()) pieces = threads();
        if (pieces <= 1) {
            if (count > 0) f(int64_t{0}, count, 0);
            return;
        }
        for_each(pieces, [&](int64_t i, int thread) { f(count * i / pieces, count * (i + 1) / pieces, thread); });
    }

private:
    using Body = void (*)(void*, int64_t, int);
    void run(int64_t tasks, Body body, void* context);
    void work(int thread);
    void drain(int thread);

    std::vector<std::thread> workers_;
    std::mutex mutex_;
    std::condition_variable wake_;
    std::atomic<uint64_t> generation_{0};
    std::atomic<int> busy_{0};
    std::atomic<int64_t> next_{0};
    std::atomic<bool> stop_{false};
    int64_t tasks_ = 0;
    Body body_ = nullptr;
    void* context_ = nullptr;
};

} // namespace atelier
