#include "task.h"
#include "values.h"
#include <algorithm>

namespace atelier::addon {

void Line::enter(Task& task) {
    if (busy_) {
        waiting_.push_back(&task);
        task.cancel_->waiting = &task;
        return;
    }
    busy_ = true;
    task.Queue();
}

void Line::leave() {
    busy_ = !waiting_.empty();
    if (!busy_) return;
    Task& next = *waiting_.front();
    waiting_.pop_front();
    next.cancel_->waiting = nullptr;
    next.Queue();
}

bool Line::withdraw(Task& task) {
    const auto found = std::find(waiting_.begin(), waiting_.end(), &task);
    if (found == waiting_.end()) return false;
    waiting_.erase(found);
    return true;
}

CallOptions CallOptions::read(Napi::Value value) {
    CallOptions options;
    if (value.IsUndefined()) return options;
    const Fields fields(value, "call");
    if (fields.has("onProgress")) {
        if (!fields["onProgress"].IsFunction())
            throw_js(value.Env(), "INVALID_ARGUMENT", "call.onProgress: expected a function");
        options.on_progress = fields["onProgress"].As<Napi::Function>();
    }
    if (fields.has("cancel")) options.cancel = handle_of<CancelFlag>(fields["cancel"], "call.cancel").object;
    return options;
}

Task::Task(Napi::Env env, Napi::Value owner, Held* held, CallOptions options)
    : AsyncWorker(env, "atelier"), deferred_(Napi::Promise::Deferred::New(env)), held_(held),
      cancel_(std::move(options.cancel)) {
    SuppressDestruct(); // settle() ends it
    if (!owner.IsEmpty()) owner_ = Napi::Persistent(owner.As<Napi::Object>());
    if (!cancel_) cancel_ = std::make_shared<CancelFlag>();
    if (options.on_progress) {
        // 16 reports may be on their way; more are dropped, since the next one says more. Its finaliser runs after the
        // last delivery.
        progress_ = ProgressQueue::New(
            env, *options.on_progress, "atelier progress", 16, 1, nullptr,
            [](Napi::Env, Task* self, std::nullptr_t*) { self->settle(); }, this);
    }
    napi_add_env_cleanup_hook(env, env_closes, this);
}

Task::~Task() = default;

Napi::Promise Task::submit(std::unique_ptr<Task> owned) {
    Task& task = *owned.release();
    if (task.held_) task.held_->in_flight++;
    const Napi::Promise promise = task.deferred_.Promise();
    if (task.held_ && task.held_->line) {
        task.held_->line->enter(task);
    } else {
        task.Queue();
    }
    return promise;
}

void Task::Execute() {
    {
        const std::lock_guard lock(mutex_);
        started_ = true;
    }
    EngineProgress progress;
    progress.cancelled = &cancel_->raised;
    if (progress_) {
        progress.report = [this](double done, double total, const char* stage) {
            auto* report = new Report{done, total, stage};
            if (progress_->NonBlockingCall(report) != napi_ok)
                delete report; // dropped: nobody listens fast enough, or at all
        };
    }
    try {
        if (cancel_->raised) throw Error(ErrorCode::cancelled, "cancelled by the caller");
        work(progress);
    } catch (...) {
        failure_ = describe(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    executed_ = true;
    ended_.notify_all();
}

void Task::deliver(Napi::Env env, Napi::Function callback, std::nullptr_t*, Report* report) {
    const std::unique_ptr<Report> owned(report);
    if (static_cast<napi_env>(env) == nullptr) return; // the environment is closing
    callback.Call({Napi::Number::New(env, report->done), Napi::Number::New(env, report->total),
        Napi::String::New(env, report->stage)});
}

void Task::OnOK() { end(); }

void Task::end() {
    if (env_closing_) return; // JavaScript cannot be told any more, and the progress queue is gone
    if (held_ && held_->line) held_->line->leave();
    if (progress_) progress_->Release(); // its finaliser settles
    else settle();
}

void Task::settle() {
    if (env_closing_) return;
    const Napi::Env env = Env();
    const Napi::HandleScope scope(env);
    napi_remove_env_cleanup_hook(env, env_closes, this);
    std::optional<Napi::Value> value;
    if (!failure_) {
        try {
            value = result(env);
        } catch (...) {
            failure_ = describe(std::current_exception());
        }
    }
    release(); // before anyone hears of it: a disposed model's memory is free when its promise resolves
    try {
        if (held_) released(env, *held_);
        if (value) deferred_.Resolve(*value);
        else deferred_.Reject(to_js(env, *failure_).Value());
    } catch (const Napi::Error&) { // NOLINT(bugprone-empty-catch)
        // A worker thread that is being terminated runs no JavaScript any more, so nobody can hear of the result. It
        // waits for its tasks before the cleanup hooks run, hence env_closing_ is not set yet.
    }
    Destroy();
}

// The environment (process or worker thread) ends while the task lives: stop the engine and wait until its thread has
// let go.
void Task::env_closes(void* self) {
    Task& task = *static_cast<Task*>(self);
    task.env_closing_ = true;
    task.cancel_->raised = true;
    std::unique_lock lock(task.mutex_);
    if (task.started_) task.ended_.wait(lock, [&] { return task.executed_; });
}

Napi::Value create_cancel_flag(const Napi::CallbackInfo& info) {
    return make_handle(info.Env(), std::make_shared<CancelFlag>());
}

Napi::Value raise_cancel_flag(const Napi::CallbackInfo& info) {
    CancelFlag& flag = *handle_of<CancelFlag>(info[0], "flag").object;
    flag.raised = true;
    Task* task = std::exchange(flag.waiting, nullptr); // set only while it waits
    if (task && task->held_->line->withdraw(*task)) {
        task->failure_ = Failure{"CANCELLED", "cancelled by the caller"};
        if (task->progress_) task->progress_->Release();
        else task->settle();
    }
    return info.Env().Undefined();
}

} // namespace atelier::addon
