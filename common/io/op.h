// Op: one operation that a coroutine waits for, with a deadline of its own.
//
// An op is an awaiter; it lives in the frame of the coroutine that awaits it.
// Whoever carries it out calls Complete once; the coroutine is resumed from
// the ready list, never inline.

#ifndef TLSPOST_COMMON_IO_OP_H_
#define TLSPOST_COMMON_IO_OP_H_

#include <coroutine>

#include "common/io/loop.h"

namespace tlspost::io {

class Op : public Runnable, public Timer {
 public:
  Op(const Op&) = delete;
  Op& operator=(const Op&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> waiter) {
    waiter_ = waiter;
    if (deadline() != kNever) loop_.Arm(*this, deadline());
    Begin();
  }

  Loop& loop() { return loop_; }

 protected:
  Op(Loop& loop, Time deadline) : Timer(deadline), loop_(loop) {}
  ~Op() override = default;

  // Hands the operation to whoever carries it out.
  virtual void Begin() = 0;

  // The operation has ended; its result is stored. The waiter resumes soon.
  void Finish() {
    loop_.Disarm(*this);
    loop_.Post(*this);
  }

 private:
  void Run() final {
    Timer::Unlink();
    waiter_.resume();
  }

  Loop& loop_;
  std::coroutine_handle<> waiter_;
};

// co_await SleepOp(loop, until): resumes at the first tick at or after `until`.
class SleepOp final : public Op {
 public:
  SleepOp(Loop& loop, Time until) : Op(loop, until) {}
  void await_resume() const {}

 private:
  void Begin() override {}
  void OnDeadline() override { Finish(); }
};

// co_await DeferOp(loop): goes on when those who wait for less have had their
// turn (Loop::Defer). Ahead of work that takes long by itself.
class DeferOp final : public Op {
 public:
  explicit DeferOp(Loop& loop) : Op(loop, kNever) {}
  void await_resume() const {}

 private:
  void Begin() override { loop().Defer(*this); }
  void OnDeadline() override {}
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_OP_H_
