// TaskGroup: owns its tasks to their end and says when none is left.

#include "common/io/task_group.h"

#include <chrono>
#include <memory>

#include "common/base/frame_slab.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

Task<void> EndAtOnce(int& ended) {
  ++ended;
  co_return;
}

Task<void> EndAfter(Loop& loop, Time until, int& ended) {
  co_await SleepOp(loop, until);
  ++ended;
}

Task<void> SpawnAnother(TaskGroup& group, Loop& loop, Time until, int& ended) {
  co_await SleepOp(loop, until);
  const Time later = until + 10ms;
  group.Spawn(EndAfter(loop, later, ended));
  ++ended;
}

class TaskGroupTest : public LoopTest {};

LOOP_TEST(TaskGroupTest, IsDrainedWhenEmpty) {
  TaskGroup group(test.loop());
  const bool drained = co_await group.Drained(kNever);
  EXPECT_TRUE(drained);
  EXPECT_EQ(group.size(), 0u);
}

LOOP_TEST(TaskGroupTest, ATaskThatEndsAtOnceIsFreedLater) {
  TaskGroup group(test.loop());
  const int64_t frames = ThisThreadFrameUse().frames;
  int ended = 0;
  group.Spawn(EndAtOnce(ended));
  EXPECT_EQ(ended, 1);
  EXPECT_EQ(group.size(), 0u);
  EXPECT_EQ(ThisThreadFrameUse().frames, frames + 1) << "not inside the call";
  const bool drained = co_await group.Drained(kNever);
  EXPECT_TRUE(drained);
  EXPECT_EQ(ThisThreadFrameUse().frames, frames);
}

LOOP_TEST(TaskGroupTest, WaitsForAll) {
  TaskGroup group(test.loop());
  const int64_t frames = ThisThreadFrameUse().frames;
  int ended = 0;
  for (int i = 0; i < 20; ++i) {
    const Time until = test.In(i * 5ms);
    group.Spawn(EndAfter(test.loop(), until, ended));
  }
  EXPECT_EQ(group.size(), 20u);
  const bool drained = co_await group.Drained(kNever);
  EXPECT_TRUE(drained);
  EXPECT_EQ(ended, 20);
  EXPECT_EQ(ThisThreadFrameUse().frames, frames);
}

LOOP_TEST(TaskGroupTest, GivesUpAtTheDeadlineAndMayBeAskedAgain) {
  TaskGroup group(test.loop());
  int ended = 0;
  const Time end = test.In(500ms);
  group.Spawn(EndAfter(test.loop(), end, ended));
  const Time deadline = test.In(50ms);
  const bool drained_early = co_await group.Drained(deadline);
  EXPECT_FALSE(drained_early);
  EXPECT_GE(test.loop().Now(), deadline);
  EXPECT_EQ(ended, 0);
  const bool drained = co_await group.Drained(kNever);
  EXPECT_TRUE(drained);
  EXPECT_EQ(ended, 1);
}

LOOP_TEST(TaskGroupTest, WaitsForTasksThatTasksSpawn) {
  TaskGroup group(test.loop());
  int ended = 0;
  const Time until = test.In(10ms);
  group.Spawn(SpawnAnother(group, test.loop(), until, ended));
  const bool drained = co_await group.Drained(kNever);
  EXPECT_TRUE(drained);
  EXPECT_EQ(ended, 2);
}

Task<void> NoteDrained(TaskGroup& group, int& told) {
  const bool drained = co_await group.Drained(kNever);
  EXPECT_TRUE(drained);
  ++told;
}

LOOP_TEST(TaskGroupTest, TellsAllWhoWait) {
  TaskGroup group(test.loop());
  TaskGroup watchers(test.loop());
  int ended = 0;
  int told = 0;
  const Time until = test.In(20ms);
  group.Spawn(EndAfter(test.loop(), until, ended));
  watchers.Spawn(NoteDrained(group, told));
  watchers.Spawn(NoteDrained(group, told));
  co_await watchers.Drained(kNever);
  EXPECT_EQ(told, 2);
}

LOOP_TEST(TaskGroupTest, ADrainedGroupMayBeDestroyedAtOnce) {
  for (int i = 0; i < 100; ++i) {
    auto group = std::make_unique<TaskGroup>(test.loop());
    int ended = 0;
    const Time now = test.loop().Now();
    group->Spawn(EndAfter(test.loop(), now, ended));
    group->Spawn(EndAtOnce(ended));
    const bool drained = co_await group->Drained(kNever);
    EXPECT_TRUE(drained);
    group.reset();
    EXPECT_EQ(ended, 2);
  }
}

INSTANTIATE_TEST_SUITE_P(AllLoops, TaskGroupTest, testing::ValuesIn(AllLoops()),
                         LoopName);

}  // namespace
}  // namespace tlspost::io
