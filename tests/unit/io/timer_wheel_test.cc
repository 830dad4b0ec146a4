// TimerWheel: never early, at most a tick late, lazy, whatever is destroyed.

#include "common/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <functional>
#include <memory>
#include <random>
#include <utility>
#include <vector>

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;

constexpr Duration kTick = TimerWheel::kTick;
constexpr Duration kWheelTurn = kTick * TimerWheel::kSlots;
// Not at a tick's edge.
constexpr Time kStart = Time(1000h + 5ms);

class CountingTimer final : public Timer {
 public:
  void OnDeadline() override {
    ++fired_;
    if (action_) action_();
  }
  int fired() const { return fired_; }
  void set_action(std::function<void()> action) { action_ = std::move(action); }

 private:
  int fired_ = 0;
  std::function<void()> action_;
};

// Moves time only to where the wheel asks to be called, as the simulation
// does. Returns when `timer` fired, or kNever.
Time AdvanceUntilFired(TimerWheel& wheel, const CountingTimer& timer) {
  const int before = timer.fired();
  while (timer.fired() == before) {
    const Time next = wheel.NextTick();
    if (next == kNever) return kNever;
    wheel.Advance(next);
    if (timer.fired() != before) return next;
  }
  return kNever;
}

TEST(TimerWheel, FiresNeverEarlyAndAtMostATickLate) {
  for (const Duration ahead :
       {Duration(0ns), Duration(1ns), Duration(5ms), Duration(11ms),
        Duration(16ms), Duration(17ms), Duration(1s), Duration(65s),
        Duration(kWheelTurn - kTick), kWheelTurn, Duration(kWheelTurn + kTick),
        Duration(300s), Duration(1h)}) {
    SCOPED_TRACE(ahead.count());
    TimerWheel wheel(kStart);
    CountingTimer timer;
    wheel.Arm(timer, kStart + ahead);
    wheel.Advance(kStart + ahead - 1ns);
    EXPECT_EQ(timer.fired(), 0);
    wheel.Advance(kStart + ahead + kTick);
    EXPECT_EQ(timer.fired(), 1);
    wheel.Advance(kStart + ahead + 2h);
    EXPECT_EQ(timer.fired(), 1) << "once only";
  }
}

TEST(TimerWheel, NextTickLeadsToEveryDeadline) {
  for (const Duration ahead : {Duration(1ns), Duration(16ms), Duration(1s),
                               kWheelTurn, Duration(300s), Duration(3h)}) {
    SCOPED_TRACE(ahead.count());
    TimerWheel wheel(kStart);
    CountingTimer timer;
    wheel.Arm(timer, kStart + ahead);
    const Time fired = AdvanceUntilFired(wheel, timer);
    EXPECT_GE(fired, kStart + ahead);
    EXPECT_LT(fired, kStart + ahead + kTick);
  }
}

TEST(TimerWheel, NextTickIsNeverWhenNothingWaits) {
  TimerWheel wheel(kStart);
  EXPECT_EQ(wheel.NextTick(), kNever);
  CountingTimer timer;
  wheel.Arm(timer, kNever);
  EXPECT_EQ(wheel.NextTick(), kNever);
  wheel.Arm(timer, kStart + 1s);
  wheel.Advance(kStart + 2s);
  EXPECT_EQ(timer.fired(), 1);
  EXPECT_EQ(wheel.NextTick(), kNever);
}

TEST(TimerWheel, NextTickIsNeverAfterADeadline) {
  std::mt19937_64 random(7);
  TimerWheel wheel(kStart);
  Time now = kStart;
  for (int round = 0; round < 2000; ++round) {
    CountingTimer timer;
    const Time deadline = now + Duration(random() % (200 * 1000000000ull));
    wheel.Arm(timer, deadline);
    ASSERT_LT(wheel.NextTick(), deadline + kTick);
    ASSERT_GT(wheel.NextTick(), now);
    now += Duration(random() % 40000000);
    wheel.Advance(now);
  }
}

TEST(TimerWheel, ALaterDeadlineIsOnlyStored) {
  TimerWheel wheel(kStart);
  CountingTimer timer;
  wheel.Arm(timer, kStart + 1s);
  const Time first_visit = wheel.NextTick();
  wheel.Arm(timer, kStart + 5s);
  EXPECT_EQ(wheel.NextTick(), first_visit) << "lazy: it stays where it was";
  wheel.Advance(kStart + 5s - 1ns);
  EXPECT_EQ(timer.fired(), 0);
  wheel.Advance(kStart + 5s + kTick);
  EXPECT_EQ(timer.fired(), 1);
}

TEST(TimerWheel, AnEarlierDeadlineCounts) {
  TimerWheel wheel(kStart);
  CountingTimer timer;
  wheel.Arm(timer, kStart + 300s);
  wheel.Arm(timer, kStart + 1s);
  const Time fired = AdvanceUntilFired(wheel, timer);
  EXPECT_GE(fired, kStart + 1s);
  EXPECT_LT(fired, kStart + 1s + kTick);
  // Later, and then earlier than the later one, but not than the first.
  wheel.Arm(timer, fired + 1s);
  wheel.Arm(timer, fired + 60s);
  wheel.Arm(timer, fired + 2s);
  const Time again = AdvanceUntilFired(wheel, timer);
  EXPECT_GE(again, fired + 2s);
  EXPECT_LT(again, fired + 2s + kTick);
}

TEST(TimerWheel, ADisarmedTimerDoesNotFireAndCanBeArmedAgain) {
  TimerWheel wheel(kStart);
  CountingTimer timer;
  wheel.Arm(timer, kStart + 1s);
  wheel.Disarm(timer);
  wheel.Advance(kStart + 2s);
  EXPECT_EQ(timer.fired(), 0);
  wheel.Arm(timer, kStart + 3s);
  wheel.Disarm(timer);
  wheel.Arm(timer, kStart + 4s);
  wheel.Advance(kStart + 4s - 1ns);
  EXPECT_EQ(timer.fired(), 0);
  wheel.Advance(kStart + 4s + kTick);
  EXPECT_EQ(timer.fired(), 1);
  wheel.Disarm(timer);  // not armed: nothing happens
}

TEST(TimerWheel, DestroyingAnArmedTimerDisarmsIt) {
  TimerWheel wheel(kStart);
  CountingTimer stays;
  {
    CountingTimer before;
    CountingTimer after;
    wheel.Arm(before, kStart + 1s);
    wheel.Arm(stays, kStart + 1s);
    wheel.Arm(after, kStart + 1s);
  }
  wheel.Advance(kStart + 2s);
  EXPECT_EQ(stays.fired(), 1);
}

TEST(TimerWheel, ATimerMayRearmItself) {
  TimerWheel wheel(kStart);
  CountingTimer timer;
  Time due = kStart + 1s;
  timer.set_action([&] {
    due += 1s;
    if (timer.fired() < 100) wheel.Arm(timer, due);
  });
  wheel.Arm(timer, due);
  wheel.Advance(kStart + 99s + 500ms);
  EXPECT_EQ(timer.fired(), 99) << "all that was due in one long turn";
  wheel.Advance(kStart + 200s);
  EXPECT_EQ(timer.fired(), 100);
  EXPECT_EQ(wheel.NextTick(), kNever);
}

TEST(TimerWheel, ATimerThatRearmsForNowWaitsForTheNextTick) {
  TimerWheel wheel(kStart);
  CountingTimer timer;
  timer.set_action([&] { wheel.Arm(timer, Time()); });
  wheel.Arm(timer, kStart);
  // It must not spin within one call.
  wheel.Advance(kStart + kTick);
  EXPECT_LE(timer.fired(), 2);
}

TEST(TimerWheel, OnDeadlineMayDestroyAndMoveOthersThatAreDue) {
  TimerWheel wheel(kStart);
  CountingTimer first;
  auto destroyed = std::make_unique<CountingTimer>();
  CountingTimer moved_later;
  CountingTimer disarmed;
  CountingTimer last;
  first.set_action([&] {
    destroyed.reset();
    wheel.Arm(moved_later, kStart + 10s);
    wheel.Disarm(disarmed);
  });
  for (Timer* timer :
       {static_cast<Timer*>(&first), static_cast<Timer*>(destroyed.get()),
        static_cast<Timer*>(&moved_later), static_cast<Timer*>(&disarmed),
        static_cast<Timer*>(&last)}) {
    wheel.Arm(*timer, kStart + 1s);
  }
  wheel.Advance(kStart + 2s);
  EXPECT_EQ(first.fired(), 1);
  EXPECT_EQ(moved_later.fired(), 0);
  EXPECT_EQ(disarmed.fired(), 0);
  EXPECT_EQ(last.fired(), 1);
  wheel.Advance(kStart + 11s);
  EXPECT_EQ(moved_later.fired(), 1);
  EXPECT_EQ(disarmed.fired(), 0);
}

class SelfDestroyingTimer final : public Timer {
 public:
  explicit SelfDestroyingTimer(int& fired) : fired_(fired) {}
  void OnDeadline() override {
    ++fired_;
    delete this;
  }

 private:
  int& fired_;
};

TEST(TimerWheel, OnDeadlineMayDestroyItself) {
  TimerWheel wheel(kStart);
  int fired = 0;
  wheel.Arm(*new SelfDestroyingTimer(fired), kStart + 1s);
  wheel.Arm(*new SelfDestroyingTimer(fired), kStart + 1s);
  wheel.Advance(kStart + 2s);
  EXPECT_EQ(fired, 2);
}

TEST(TimerWheel, TimersOutliveTheWheel) {
  CountingTimer timer;
  {
    TimerWheel wheel(kStart);
    wheel.Arm(timer, kStart + 1s);
  }
  EXPECT_EQ(timer.fired(), 0);
}

// Arms, moves, disarms and advances at random; the reference is the deadline
// that each timer has.
TEST(TimerWheel, AgreesWithAReference) {
  constexpr int kTimers = 500;
  for (uint64_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(testing::Message() << "replay with seed=" << seed);
    std::mt19937_64 random(seed);
    TimerWheel wheel(kStart);
    Time now = kStart;
    std::vector<std::unique_ptr<CountingTimer>> timers;
    std::vector<Time> due(kTimers, kNever);
    std::vector<int> expected(kTimers, 0);
    for (int i = 0; i < kTimers; ++i) {
      timers.push_back(std::make_unique<CountingTimer>());
    }
    for (int step = 0; step < 5000; ++step) {
      const size_t i = random() % kTimers;
      switch (random() % 8) {
        case 0:
          wheel.Disarm(*timers[i]);
          due[i] = kNever;
          break;
        case 1:
          timers[i] = std::make_unique<CountingTimer>();
          due[i] = kNever;
          expected[i] = 0;
          break;
        case 2: {
          // From a fraction of a tick to two turns of the wheel.
          const Duration most = random() % 4 == 0 ? 2 * kWheelTurn : 1s;
          now += Duration(static_cast<int64_t>(random() % most.count()));
          wheel.Advance(now);
          for (int j = 0; j < kTimers; ++j) {
            if (timers[j]->fired() == expected[j]) {
              // Not fired: it must not be more than a tick overdue.
              ASSERT_TRUE(due[j] == kNever || due[j] + kTick > now) << j;
              continue;
            }
            ASSERT_EQ(timers[j]->fired(), expected[j] + 1) << j;
            ASSERT_LE(due[j], now) << "fired early: " << j;
            expected[j] = timers[j]->fired();
            due[j] = kNever;
          }
          break;
        }
        default: {
          const Duration most = random() % 4 == 0 ? 3 * kWheelTurn : 5s;
          due[i] =
              now + Duration(static_cast<int64_t>(random() % most.count()));
          wheel.Arm(*timers[i], due[i]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace tlspost::io
