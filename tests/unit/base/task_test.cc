// Task: lazy start, results, order of resumption, depth, frames given back.

#include "common/base/task.h"

#include <gtest/gtest.h>

#include <coroutine>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "common/base/co_try.h"
#include "common/base/frame_slab.h"
#include "common/base/status.h"

namespace tlspost {
namespace {

// An operation that ends when the test says so, as a loop's would.
class Gate {
 public:
  bool await_ready() const { return false; }
  void await_suspend(std::coroutine_handle<> waiter) { waiter_ = waiter; }
  void await_resume() {}
  void Open() { std::exchange(waiter_, nullptr).resume(); }
  bool waited_for() const { return waiter_ != nullptr; }

 private:
  std::coroutine_handle<> waiter_;
};

class CountingOwner final : public TaskOwner {
 public:
  void OnTaskDone() override { ++done_; }
  int done() const { return done_; }

 private:
  int done_ = 0;
};

Task<int> Number(int n) { co_return n; }

Task<int> AfterGate(Gate& gate, int n) {
  co_await gate;
  co_return n;
}

Task<int> Sum(Gate& gate, int n) {
  auto first = co_await AfterGate(gate, n);
  auto second = co_await Number(2);
  co_return first + second;
}

Task<void> Append(std::vector<std::string>& log, std::string word, Gate& gate) {
  log.push_back(word + " begins");
  co_await gate;
  log.push_back(word + " ends");
}

class TaskTest : public ::testing::Test {
 protected:
  void TearDown() override {
    EXPECT_EQ(ThisThreadFrameUse().frames, 0);
    EXPECT_EQ(ThisThreadFrameUse().bytes, 0);
  }
};

TEST_F(TaskTest, IsLazy) {
  std::vector<std::string> log;
  Gate gate;
  {
    const Task<void> never_started = Append(log, "a", gate);
    EXPECT_FALSE(never_started.started());
    EXPECT_EQ(ThisThreadFrameUse().frames, 1);
  }
  EXPECT_TRUE(log.empty());
}

TEST_F(TaskTest, RunsToItsEndAtOnceWithoutWaiting) {
  CountingOwner owner;
  auto task = Number(7);
  task.Start(&owner);
  EXPECT_TRUE(task.done());
  EXPECT_EQ(owner.done(), 1);
  EXPECT_EQ(task.Take(), 7);
}

TEST_F(TaskTest, ResultPassesThroughParents) {
  CountingOwner owner;
  Gate gate;
  auto task = Sum(gate, 40);
  task.Start(&owner);
  EXPECT_TRUE(task.started());
  EXPECT_FALSE(task.done());
  EXPECT_EQ(owner.done(), 0);
  gate.Open();
  EXPECT_TRUE(task.done());
  EXPECT_EQ(owner.done(), 1);
  EXPECT_EQ(task.Take(), 42);
}

TEST_F(TaskTest, TwoTasksTakeTurns) {
  std::vector<std::string> log;
  Gate gate_a;
  Gate gate_b;
  auto a = Append(log, "a", gate_a);
  auto b = Append(log, "b", gate_b);
  a.Start();
  b.Start();
  gate_b.Open();
  gate_a.Open();
  EXPECT_EQ(log, (std::vector<std::string>{"a begins", "b begins", "b ends",
                                           "a ends"}));
}

TEST_F(TaskTest, MoveOnlyResult) {
  const auto make = [](int n) -> Task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(n);
  };
  auto task = make(5);
  task.Start();
  const std::unique_ptr<int> value = task.Take();
  EXPECT_EQ(*value, 5);
}

TEST_F(TaskTest, MovedFromTaskIsEmpty) {
  auto task = Number(1);
  Task<int> other = std::move(task);
  other.Start();
  EXPECT_TRUE(other.done());
  EXPECT_FALSE(task.done());  // NOLINT(bugprone-use-after-move)
  task = Number(2);
  task.Start();
  EXPECT_EQ(task.Take(), 2);
}

TEST_F(TaskTest, ChildFramesGoWhenTheirStatementEnds) {
  Gate gate;
  auto task = Sum(gate, 1);
  task.Start();
  EXPECT_EQ(ThisThreadFrameUse().frames, 2) << "Sum and AfterGate";
  gate.Open();
  EXPECT_EQ(ThisThreadFrameUse().frames, 1) << "Sum, done, not yet taken";
}

Task<absl::StatusOr<int>> Checked(int n) {
  if (n < 0) {
    co_return MakeStatus(absl::StatusCode::kOutOfRange, "negative");
  }
  co_return n;
}

Task<absl::Status> CheckedTwice(int first, int second, int& sum) {
  CO_TRY_LET(a, co_await Checked(first));
  CO_TRY_LET(b, co_await Checked(second));
  sum = a + b;
  co_return absl::OkStatus();
}

Task<absl::Status> Outer(int first, int second, int& sum) {
  CO_TRY(co_await CheckedTwice(first, second, sum));
  ++sum;
  co_return absl::OkStatus();
}

TEST_F(TaskTest, TryReturnsTheFirstError) {
  const auto run = [](int first, int second, int& sum) {
    auto task = Outer(first, second, sum);
    task.Start();
    return task.Take();
  };
  int sum = 0;
  EXPECT_TRUE(run(1, 2, sum).ok());
  EXPECT_EQ(sum, 4);
  EXPECT_EQ(MessageOf(run(-1, 2, sum)), "negative");
  EXPECT_EQ(MessageOf(run(1, -2, sum)), "negative");
  EXPECT_EQ(sum, 4) << "nothing after the error ran";
}

Task<int> Depth(int n) {
  if (n == 0) co_return 0;
  auto below = co_await Depth(n - 1);
  co_return below + 1;
}

TEST_F(TaskTest, NestedTasks) {
  auto task = Depth(500);
  task.Start();
  EXPECT_EQ(task.Take(), 500);
}

using TaskDeathTest = TaskTest;

TEST_F(TaskDeathTest, DestroyingASuspendedTask) {
  Gate gate;
  const auto destroy_suspended = [&gate] {
    auto task = AfterGate(gate, 1);
    task.Start();
  };
  EXPECT_DEATH(destroy_suspended(), "CHECK failed: handle_.done");
}

TEST_F(TaskDeathTest, StartingTwice) {
  auto task = Number(1);
  task.Start();
  EXPECT_DEATH(task.Start(), "REQUIRE failed");
}

TEST_F(TaskDeathTest, TakingBeforeTheEnd) {
  Gate gate;
  auto task = AfterGate(gate, 1);
  task.Start();
  EXPECT_DEATH(task.Take(), "REQUIRE failed: done");
  gate.Open();
}

}  // namespace
}  // namespace tlspost
