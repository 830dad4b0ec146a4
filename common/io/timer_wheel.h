// A hashed timing wheel: every deadline of a worker, without kernel timers.
//
// Arming is a store or a list insertion; nothing is allocated. Moving a
// deadline later only stores it, and the slot visit re-queues the timer
// ("lazy"). A timer never fires early; it fires at most kTick late.

#ifndef TLSPOST_COMMON_IO_TIMER_WHEEL_H_
#define TLSPOST_COMMON_IO_TIMER_WHEEL_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "common/base/intrusive_list.h"
#include "common/io/time.h"

namespace tlspost::io {

// Something with a deadline. Destroying it disarms it.
class Timer : public ListNode<Timer> {
 public:
  // The deadline has passed. May arm and destroy any timer, this one included.
  virtual void OnDeadline() = 0;

  Time deadline() const { return deadline_; }

 protected:
  Timer() = default;
  // With a deadline that counts once it is armed.
  explicit Timer(Time deadline) : deadline_(deadline) {}
  virtual ~Timer() = default;

 private:
  friend class TimerWheel;
  Time deadline_ = kNever;
  int64_t queued_tick_ = 0;  // of the slot it waits in, while linked
};

class TimerWheel {
 public:
  static constexpr Duration kTick = std::chrono::milliseconds(16);
  // One turn of the wheel is 4096 * 16 ms = 65 s; later deadlines are
  // re-queued each time their slot comes by.
  static constexpr int64_t kSlots = 4096;

  explicit TimerWheel(Time now);

  // Fires `timer` at the first Advance at or after `deadline`. kNever disarms.
  void Arm(Timer& timer, Time deadline);

  // `timer` will not fire. It may stay linked until its slot is visited.
  void Disarm(Timer& timer) { timer.deadline_ = kNever; }

  // Fires all timers whose deadline is not after `now`.
  void Advance(Time now);

  // When to call Advance next: no timer fires before. kNever when none waits.
  Time NextTick() const;

 private:
  struct Slot : IntrusiveList<Timer> {};

  void Insert(Timer& timer);

  int64_t current_tick_;  // slots up to and including this one were visited
  std::array<Slot, kSlots> slots_;
  // A set bit: the slot may hold timers. A clear one: it holds none.
  std::array<uint64_t, kSlots / 64> occupied_ = {};
};

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_TIMER_WHEEL_H_
