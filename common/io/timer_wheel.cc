// The timing wheel: slots of kTick, an occupancy bitmap to skip empty ones.

#include "common/io/timer_wheel.h"

#include <algorithm>
#include <bit>

#include "common/base/check.h"

namespace tlspost::io {
namespace {

int64_t FloorTick(Time time) {
  return time.time_since_epoch() / TimerWheel::kTick;
}

int64_t CeilTick(Time time) {
  const int64_t floor = FloorTick(time);
  const bool exact = time.time_since_epoch() % TimerWheel::kTick == Duration(0);
  return exact ? floor : floor + 1;
}

}  // namespace

TimerWheel::TimerWheel(Time now) : current_tick_(FloorTick(now)) {}

void TimerWheel::Arm(Timer& timer, Time deadline) {
  timer.deadline_ = deadline;
  if (deadline == kNever) return;
  const bool queued_early_enough =
      timer.linked() && timer.queued_tick_ <= CeilTick(deadline);
  if (queued_early_enough) return;
  timer.Unlink();
  Insert(timer);
}

void TimerWheel::Insert(Timer& timer) {
  // The slot of the current tick was visited already, so the earliest is the
  // next one; the latest is one turn ahead.
  const int64_t tick = std::clamp(CeilTick(timer.deadline_), current_tick_ + 1,
                                  current_tick_ + kSlots - 1);
  const int64_t slot = tick % kSlots;
  timer.queued_tick_ = tick;
  slots_[slot].PushBack(timer);
  occupied_[slot / 64] |= uint64_t{1} << (slot % 64);
}

void TimerWheel::Advance(Time now) {
  const int64_t now_tick = FloorTick(now);
  while (true) {
    const Time next = NextTick();
    const int64_t next_tick = next == kNever ? now_tick + 1 : FloorTick(next);
    if (next_tick > now_tick) break;
    current_tick_ = next_tick;
    const int64_t slot = next_tick % kSlots;
    occupied_[slot / 64] &= ~(uint64_t{1} << (slot % 64));
    IntrusiveList<Timer> due;
    due.TakeAll(slots_[slot]);
    while (!due.empty()) {
      Timer& timer = due.PopFront();
      if (timer.deadline_ <= now) {
        timer.deadline_ = kNever;
        timer.OnDeadline();
      } else if (timer.deadline_ != kNever) {
        Insert(timer);
      }
    }
  }
  current_tick_ = std::max(current_tick_, now_tick);
}

Time TimerWheel::NextTick() const {
  // Looks through the bitmap from the slot after the current one, once around.
  const int64_t first = (current_tick_ + 1) % kSlots;
  int64_t word = first / 64;
  uint64_t bits = occupied_[word] & (~uint64_t{0} << (first % 64));
  for (int64_t words = 0; words <= kSlots / 64; ++words) {
    if (bits != 0) {
      const int64_t slot = word * 64 + std::countr_zero(bits);
      const int64_t ahead = (slot - first + kSlots) % kSlots;
      return Time(kTick * (current_tick_ + 1 + ahead));
    }
    word = (word + 1) % (kSlots / 64);
    bits = occupied_[word];
  }
  return kNever;
}

}  // namespace tlspost::io
