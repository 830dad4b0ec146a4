// The contract of io::Loop and of awaiting an Op: time, order, waking.

#include "common/io/loop.h"

#include <chrono>
#include <ctime>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "common/io/op.h"
#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""ns;
using std::chrono_literals::operator""s;

class CountingRunnable final : public Runnable {
 public:
  void Run() override {
    ++runs_;
    if (action_) action_();
  }
  int runs() const { return runs_; }
  void set_action(std::function<void()> action) { action_ = std::move(action); }

 private:
  int runs_ = 0;
  std::function<void()> action_;
};

class LoopContractTest : public LoopTest {
 public:
  Task<void> SleepBeside(Duration duration, Duration& late) {
    const Time until = In(duration);
    co_await SleepOp(loop(), until);
    EXPECT_GE(loop().Now(), until) << "early";
    late = loop().Now() - until;
  }
};

LOOP_TEST(LoopContractTest, SleepsAreNeverShortAndAtMostATickLong) {
  static constexpr Duration kDurations[] = {0ns, 1ns, 1ms, 16ms, 100ms};
  for (const Duration duration : kDurations) {
    Duration late = {};
    co_await test.SleepBeside(duration, late);
    EXPECT_LE(late, test.slack());
  }
}

LOOP_TEST(LoopContractTest, ManySleepersEachOnTime) {
  std::vector<Duration> late(1000);
  TaskGroup beside(test.loop());
  for (size_t i = 0; i < late.size(); ++i) {
    const Duration duration(test.loop().Random() % 500'000'000);
    beside.Spawn(test.SleepBeside(duration, late[i]));
  }
  co_await beside.Drained(kNever);
  for (const Duration one : late) EXPECT_LE(one, test.slack());
}

Task<void> SleepTillThePast(Loop& loop, bool& done) {
  co_await SleepOp(loop, Time());
  done = true;
}

LOOP_TEST(LoopContractTest, ADeadlineInThePastComesAtOnceButNotInline) {
  bool slept = false;
  TaskGroup beside(test.loop());
  beside.Spawn(SleepTillThePast(test.loop(), slept));
  EXPECT_FALSE(slept);
  const Time before = test.loop().Now();
  co_await beside.Drained(kNever);
  EXPECT_TRUE(slept);
  EXPECT_LE(test.loop().Now() - before, test.slack());
}

LOOP_TEST(LoopContractTest, PostedOnceRunsOnce) {
  CountingRunnable runnable;
  test.loop().Post(runnable);
  test.loop().Post(runnable);
  EXPECT_EQ(runnable.runs(), 0) << "never inline";
  const Time pause = test.In(1ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_EQ(runnable.runs(), 1);
}

LOOP_TEST(LoopContractTest, ADestroyedRunnableDoesNotRun) {
  {
    CountingRunnable runnable;
    runnable.set_action([] { ADD_FAILURE() << "it is gone"; });
    test.loop().Post(runnable);
  }
  const Time pause = test.In(1ms);
  co_await SleepOp(test.loop(), pause);
}

LOOP_TEST(LoopContractTest, DeferredWorkRunsInOrderBehindWhatIsReady) {
  CountingRunnable first;
  CountingRunnable second;
  CountingRunnable ready;
  CountingRunnable made_ready;
  std::string order;
  first.set_action([&] { order += "1"; });
  second.set_action([&] { order += "2"; });
  made_ready.set_action([&] { order += "m"; });
  ready.set_action([&] {
    order += "r";
    test.loop().Post(made_ready);
  });
  const int64_t before = test.loop().deferred_runs();
  test.loop().Defer(first);
  test.loop().Defer(second);
  test.loop().Defer(first);
  test.loop().Post(ready);
  EXPECT_EQ(order, "") << "never inline";
  const Time pause = test.In(1ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_EQ(order, "rm12");
  EXPECT_EQ(test.loop().deferred_runs() - before, 2);
}

LOOP_TEST(LoopContractTest, ADestroyedRunnableLeavesTheDeferred) {
  {
    CountingRunnable runnable;
    runnable.set_action([] { ADD_FAILURE() << "it is gone"; });
    test.loop().Defer(runnable);
    EXPECT_TRUE(test.loop().has_deferred());
  }
  EXPECT_FALSE(test.loop().has_deferred());
  const Time pause = test.In(1ms);
  co_await SleepOp(test.loop(), pause);
}

// Real loops look at the kernel again when deferred work has taken its time;
// in the simulation each piece is a step of its own.
LOOP_TEST(LoopContractTest, LongDeferredWorkLetsOthersInBetween) {
  CountingRunnable live;
  std::string order;
  live.set_action([&] { order += "l"; });
  std::vector<std::unique_ptr<CountingRunnable>> slow;
  for (int i = 0; i < 3; ++i) {
    slow.push_back(std::make_unique<CountingRunnable>());
    slow.back()->set_action([&] {
      order += "s";
      test.loop().Post(live);
      const auto end = std::clock() + CLOCKS_PER_SEC / 500;  // 2 ms of work
      while (std::clock() < end) {
      }
    });
    test.loop().Defer(*slow.back());
  }
  const Time pause = test.In(1ms);
  co_await SleepOp(test.loop(), pause);
  while (test.loop().has_deferred()) co_await SleepOp(test.loop(), pause);
  co_await SleepOp(test.loop(), pause);
  EXPECT_EQ(order, "slslsl");
}

// What posts itself again and again must not keep timers and sockets waiting.
LOOP_TEST(LoopContractTest, ABusyRunnableDoesNotStarveTimersAndSockets) {
  CountingRunnable busy;
  bool stop = false;
  busy.set_action([&] {
    if (!stop) test.loop().Post(busy);
  });
  // The simulation's clock stands still while something is ready.
  const bool clock_runs = test.GetParam().real_time;
  test.loop().Post(busy);
  auto pair = co_await Connect(test.listener());
  const absl::Status sent = co_await pair.client->Write("x", kNever);
  CO_ASSERT_OK(sent);
  auto heard = co_await ReadOctets(*pair.server, 1, kNever);
  EXPECT_EQ(heard.bytes, "x");
  if (clock_runs) {
    const Time until = test.In(30ms);
    co_await SleepOp(test.loop(), until);
  }
  stop = true;
  EXPECT_GT(busy.runs(), 0);
}

LOOP_TEST(LoopContractTest, NowStandsStillWithinATurn) {
  const Time before = test.loop().Now();
  timespec pause = {0, 20'000'000};
  nanosleep(&pause, nullptr);
  EXPECT_EQ(test.loop().Now(), before);
  co_return;
}

LOOP_TEST(LoopContractTest, NowNeverGoesBack) {
  Time last = test.loop().Now();
  for (int i = 0; i < 100; ++i) {
    co_await SleepOp(test.loop(), last);
    EXPECT_GE(test.loop().Now(), last);
    last = test.loop().Now();
  }
}

LOOP_TEST(LoopContractTest, RemoteWorkRunsLaterAndInOrder) {
  std::vector<int> ran;
  for (int i = 0; i < 3; ++i) {
    test.loop().PostRemote([&ran, i] { ran.push_back(i); });
  }
  EXPECT_TRUE(ran.empty()) << "never inline";
  const Time limit = test.In(30s);
  while (ran.size() < 3 && test.loop().Now() < limit) {
    const Time pause = test.In(1ms);
    co_await SleepOp(test.loop(), pause);
  }
  EXPECT_EQ(std::set<int>(ran.begin(), ran.end()), (std::set<int>{0, 1, 2}));
}

LOOP_TEST(LoopContractTest, RandomDoesNotRepeat) {
  std::set<uint64_t> seen;
  for (int i = 0; i < 1000; ++i) seen.insert(test.loop().Random());
  EXPECT_EQ(seen.size(), 1000u);
  co_return;
}

LOOP_TEST(LoopContractTest, WallTimeAdvancesWithNow) {
  const WallTime wall = test.loop().WallNow();
  const Time before = test.loop().Now();
  const Time until = test.In(1s);
  co_await SleepOp(test.loop(), until);
  const Duration wall_passed = test.loop().WallNow() - wall;
  const Duration passed = test.loop().Now() - before;
  EXPECT_GE(wall_passed, passed - 100ms);
  EXPECT_LE(wall_passed, passed + Duration(10s));
}

INSTANTIATE_TEST_SUITE_P(AllLoops, LoopContractTest,
                         testing::ValuesIn(AllLoops()), LoopName);

}  // namespace
}  // namespace tlspost::io
