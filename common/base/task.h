// Task<T>: a lazy coroutine that is awaited once, by one parent.
//
// It starts when it is awaited (or, for the outermost one, when Start is
// called), resumes its parent by symmetric transfer, and its frame comes from
// the frame slab. A suspended task is never destroyed: an operation it waits
// for may still be writing into its frame, so ~Task asserts that it is done or
// never started. To end a task early, close the stream it waits on and let it
// run to its own end.
//
// Tasks throw nothing: errors are absl::Status values. An exception that
// reaches a task ends the process.

#ifndef TLSPOST_COMMON_BASE_TASK_H_
#define TLSPOST_COMMON_BASE_TASK_H_

#include <coroutine>
#include <cstddef>
#include <cstdlib>
#include <exception>
#include <optional>
#include <utility>

#include "common/base/check.h"
#include "common/base/frame_slab.h"

namespace tlspost {

template <typename T>
class Task;

// Told when the outermost task of a chain has ended. The task object must not
// be destroyed from within the call (the frame is still on the stack): note
// it, and destroy it from the loop's next turn.
class TaskOwner {
 public:
  virtual void OnTaskDone() = 0;

 protected:
  ~TaskOwner() = default;
};

namespace task_internal {

class PromiseBase {
 public:
  static void* operator new(size_t size) { return AllocateFrame(size); }
  static void operator delete(void* frame, size_t size) {
    FreeFrame(frame, size);
  }

  std::suspend_always initial_suspend() noexcept { return {}; }

  struct FinalAwaiter {
    bool await_ready() noexcept { return false; }
    template <typename Promise>
    std::coroutine_handle<> await_suspend(
        std::coroutine_handle<Promise> done) noexcept {
      PromiseBase& promise = done.promise();
      if (promise.owner_ != nullptr) promise.owner_->OnTaskDone();
      return promise.parent_;
    }
    void await_resume() noexcept {}
  };
  FinalAwaiter final_suspend() noexcept { return {}; }

  void unhandled_exception() noexcept { std::terminate(); }

  void set_parent(std::coroutine_handle<> parent) { parent_ = parent; }
  // An outermost task has an owner, or nobody, instead of a parent.
  void set_owner(TaskOwner* owner) {
    owner_ = owner;
    parent_ = std::noop_coroutine();
  }
  bool started() const { return parent_ != nullptr; }

 private:
  std::coroutine_handle<> parent_;  // set when it is started
  TaskOwner* owner_ = nullptr;
};

template <typename T>
class Promise : public PromiseBase {
 public:
  Task<T> get_return_object();
  void return_value(T value) { value_.emplace(std::move(value)); }
  T TakeValue() {
    TLSPOST_CHECK(value_.has_value());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
};

template <>
class Promise<void> : public PromiseBase {
 public:
  Task<void> get_return_object();
  void return_void() {}
  void TakeValue() {}
};

}  // namespace task_internal

template <typename T>
class [[nodiscard]] Task {
 public:
  using promise_type = task_internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~Task() {
    if (!handle_) return;
    TLSPOST_CHECK(handle_.done() || !handle_.promise().started());
    handle_.destroy();
  }

  struct Awaiter {
    Handle handle;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(
        std::coroutine_handle<> parent) noexcept {
      handle.promise().set_parent(parent);
      return handle;
    }
    T await_resume() { return handle.promise().TakeValue(); }
  };
  // The task must outlive the await: `co_await Function(...)` does.
  Awaiter operator co_await() const noexcept { return Awaiter{handle_}; }

  // Runs an outermost task until it first waits. `owner`, if given, is told
  // when it has ended, which may be before Start returns.
  void Start(TaskOwner* owner = nullptr) {
    TLSPOST_REQUIRE(handle_ && !handle_.promise().started());
    handle_.promise().set_owner(owner);
    handle_.resume();
  }

  bool started() const { return handle_ && handle_.promise().started(); }
  bool done() const { return handle_ && handle_.done(); }

  // The result of an outermost task that is done. At most once.
  T Take() {
    TLSPOST_REQUIRE(done());
    return handle_.promise().TakeValue();
  }

 private:
  Handle handle_;
};

namespace task_internal {

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}

inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace task_internal
}  // namespace tlspost

#endif  // TLSPOST_COMMON_BASE_TASK_H_
