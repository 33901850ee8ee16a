// Every asynchronous call has one shape: arguments are checked and copied on the JS thread, the work runs on a worker
// thread and touches only that copy and the shared native object, and the result becomes JavaScript on the JS thread.
#pragma once
#include "errors.h"
#include "handle.h"
#include <atomic>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <napi.h>
#include <optional>

namespace atelier::addon {

class Task;

// Raised by the caller (an AbortSignal), polled by the engine between ops. A task that still waits in line ends at
// once.
class CancelFlag {
public:
    std::atomic<bool> raised{false};
    Task* waiting = nullptr; // JS thread
};

// A device computes one thing at a time; calls wait here in the order they were made. JS thread only.
class Line {
public:
    void enter(Task&);
    void leave(); // the running task ended: the next one starts
    bool withdraw(Task&);

private:
    std::deque<Task*> waiting_;
    bool busy_ = false;
};

// What a caller may add to any asynchronous call: {onProgress?: (done, total, stage) => void, cancel?: CancelFlag}.
struct CallOptions {
    std::optional<Napi::Function> on_progress;
    std::shared_ptr<CancelFlag> cancel;
    static CallOptions read(Napi::Value);
};

class Task : public Napi::AsyncWorker {
public:
    // Takes ownership; the task deletes itself when its promise has settled.
    static Napi::Promise submit(std::unique_ptr<Task>);
    ~Task() override;

protected:
    // owner: the handle that must outlive the work and whose dispose() waits for it; may be empty.
    Task(Napi::Env, Napi::Value owner, Held* held, CallOptions);

    virtual void work(const EngineProgress&) = 0;    // worker thread
    virtual Napi::Value result(Napi::Env) = 0;       // JS thread, when work did not throw
    virtual void release() = 0;                      // frees what work captured; JS thread

private:
    friend class Line;
    friend Napi::Value raise_cancel_flag(const Napi::CallbackInfo&);

    struct Report {
        double done, total;
        const char* stage;
    };
    static void deliver(Napi::Env, Napi::Function callback, std::nullptr_t*, Report*);
    static void env_closes(void* self);
    using ProgressQueue = Napi::TypedThreadSafeFunction<std::nullptr_t, Report, deliver>;

    void Execute() final;
    void OnOK() final; // always: failures are kept in failure_
    void end();        // JS thread: leaves the line, then settles, after every report that is still on its way
    void settle();

    Napi::Promise::Deferred deferred_;
    Napi::ObjectReference owner_;
    Held* held_;
    std::shared_ptr<CancelFlag> cancel_;
    std::optional<ProgressQueue> progress_;
    std::optional<Failure> failure_;
    std::mutex mutex_;
    std::condition_variable ended_;
    bool started_ = false, executed_ = false; // under mutex_
    bool env_closing_ = false;                // JS thread
};

template <class Work, class ToJs>
class Call final : public Task {
public:
    using Result = std::invoke_result_t<Work, const EngineProgress&>;
    Call(Napi::Env env, Napi::Value owner, Held* held, CallOptions options, Work work, ToJs to_js)
        : Task(env, owner, held, std::move(options)), work_(std::move(work)), to_js_(std::move(to_js)) {}

private:
    void work(const EngineProgress& progress) override { result_ = (*work_)(progress); }
    Napi::Value result(Napi::Env env) override { return to_js_(env, *result_); }
    void release() override {
        work_.reset();
        result_.reset();
    }
    std::optional<Work> work_;
    std::optional<Result> result_;
    ToJs to_js_;
};

struct Nothing {};
inline Napi::Value undefined(Napi::Env env, Nothing) { return env.Undefined(); }

// work(progress) -> Result runs off-thread; to_js(env, Result&) -> Napi::Value makes the promise's value.
template <class Work, class ToJs>
Napi::Value start(Napi::Value owner, Held& held, Napi::Value options, Work work, ToJs to_js) {
    return Task::submit(std::make_unique<Call<Work, ToJs>>(
        owner.Env(), owner, &held, CallOptions::read(options), std::move(work), std::move(to_js)));
}

// For work that belongs to no handle, such as reading an adapter's file.
template <class Work, class ToJs>
Napi::Value start(Napi::Env env, Napi::Value options, Work work, ToJs to_js) {
    return Task::submit(std::make_unique<Call<Work, ToJs>>(
        env, Napi::Value(), nullptr, CallOptions::read(options), std::move(work), std::move(to_js)));
}

Napi::Value create_cancel_flag(const Napi::CallbackInfo&);
Napi::Value raise_cancel_flag(const Napi::CallbackInfo&); // (flag)

} // namespace atelier::addon
