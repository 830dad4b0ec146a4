// WaitQueue: first come first served, each with its own deadline; every loop.

#include "common/io/wait_queue.h"

#include <chrono>
#include <string>
#include <vector>

#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

struct Waiter {
  bool done = false;
  absl::Status status;
  Time when;
};

class WaitQueueTest : public LoopTest {
 public:
  Task<void> Wait(WaitQueue& queue, Time deadline, Waiter& waiter) {
    waiter.status = co_await queue.Wait(deadline);
    waiter.when = loop().Now();
    waiter.done = true;
  }
  // Until what was woken has run.
  Task<void> Settle() {
    const Time pause = In(1ms);
    co_await SleepOp(loop(), pause);
  }
};

LOOP_TEST(WaitQueueTest, WakesTheOneThatWaitsLongest) {
  WaitQueue queue(test.loop());
  queue.WakeOne();  // nobody: nothing is kept for later
  std::vector<Waiter> waiters(3);
  TaskGroup beside(test.loop());
  EXPECT_TRUE(queue.empty());
  for (Waiter& waiter : waiters) {
    beside.Spawn(test.Wait(queue, kNever, waiter));
  }
  EXPECT_EQ(queue.size(), 3u);
  for (size_t i = 0; i < waiters.size(); ++i) {
    queue.WakeOne();
    EXPECT_FALSE(waiters[i].done) << "never inline";
    EXPECT_EQ(queue.size(), waiters.size() - i - 1);
    co_await test.Settle();
    for (size_t j = 0; j < waiters.size(); ++j) {
      EXPECT_EQ(waiters[j].done, j <= i);
    }
    EXPECT_TRUE(waiters[i].status.ok());
  }
  EXPECT_TRUE(queue.empty());
  co_await beside.Drained(kNever);
}

LOOP_TEST(WaitQueueTest, WakesAllWithTheReason) {
  WaitQueue queue(test.loop());
  std::vector<Waiter> waiters(5);
  TaskGroup beside(test.loop());
  for (Waiter& waiter : waiters) {
    beside.Spawn(test.Wait(queue, kNever, waiter));
  }
  queue.WakeAll(absl::CancelledError("stopping"));
  EXPECT_TRUE(queue.empty());
  co_await beside.Drained(kNever);
  for (const Waiter& waiter : waiters) {
    EXPECT_TRUE(absl::IsCancelled(waiter.status)) << waiter.status;
  }
}

LOOP_TEST(WaitQueueTest, ADeadlineTakesOneOutOfTheMiddle) {
  WaitQueue queue(test.loop());
  std::vector<Waiter> waiters(3);
  TaskGroup beside(test.loop());
  const Time soon = test.In(50ms);
  const Time late = test.In(60s);
  beside.Spawn(test.Wait(queue, late, waiters[0]));
  beside.Spawn(test.Wait(queue, soon, waiters[1]));
  beside.Spawn(test.Wait(queue, kNever, waiters[2]));
  const Time after = soon + test.slack();
  while (!waiters[1].done && test.loop().Now() <= after) {
    co_await test.Settle();
  }
  EXPECT_TRUE(absl::IsDeadlineExceeded(waiters[1].status));
  EXPECT_GE(waiters[1].when, soon);
  EXPECT_EQ(queue.size(), 2u);
  queue.WakeOne();
  queue.WakeOne();
  co_await beside.Drained(kNever);
  EXPECT_TRUE(waiters[0].status.ok()) << waiters[0].status;
  EXPECT_TRUE(waiters[2].status.ok()) << waiters[2].status;
}

LOOP_TEST(WaitQueueTest, AWokenOneIsNotTimedOutAsWell) {
  WaitQueue queue(test.loop());
  Waiter waiter;
  TaskGroup beside(test.loop());
  const Time deadline = test.In(20ms);
  beside.Spawn(test.Wait(queue, deadline, waiter));
  queue.WakeOne();
  co_await beside.Drained(kNever);
  EXPECT_TRUE(waiter.status.ok());
  const Time later = test.In(100ms);
  co_await SleepOp(test.loop(), later);
  EXPECT_TRUE(queue.empty());
}

LOOP_TEST(WaitQueueTest, OneThatWaitsAgainGoesToTheEnd) {
  WaitQueue queue(test.loop());
  Waiter first;
  Waiter second;
  Waiter again;
  TaskGroup beside(test.loop());
  beside.Spawn(test.Wait(queue, kNever, first));
  beside.Spawn(test.Wait(queue, kNever, second));
  queue.WakeOne();
  beside.Spawn(test.Wait(queue, kNever, again));
  queue.WakeOne();
  co_await test.Settle();
  EXPECT_TRUE(second.done);
  EXPECT_FALSE(again.done);
  queue.WakeOne();
  co_await beside.Drained(kNever);
}

INSTANTIATE_TEST_SUITE_P(AllLoops, WaitQueueTest, testing::ValuesIn(AllLoops()),
                         LoopName);

}  // namespace
}  // namespace tlspost::io
