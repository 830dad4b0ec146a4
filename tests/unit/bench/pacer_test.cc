// The schedule of an open loop, and who gets what is due.

#include "bench/load/pacer.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>

#include "bench/measure/clock.h"
#include "common/base/status.h"
#include "common/io/engine.h"
#include "common/io/task_group.h"

namespace tlspost::load {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

TEST(Schedule, UniformIsEvenlySpacedAndDoesNotDrift) {
  const io::Time begin(10s);
  Schedule schedule(1000, Arrivals::kUniform, begin, 1);
  for (int i = 1; i <= 3000; ++i) ASSERT_EQ(schedule.Next(), begin + i * 1ms);
}

TEST(Schedule, PoissonHasTheRateAndItsScatter) {
  const io::Time begin(10s);
  Schedule schedule(1000, Arrivals::kPoisson, begin, 1);
  io::Time last = begin;
  int long_gaps = 0;
  for (int i = 0; i < 20000; ++i) {
    const io::Time next = schedule.Next();
    ASSERT_GE(next, last);
    if (next - last > 1ms) ++long_gaps;
    last = next;
  }
  const double seconds = std::chrono::duration<double>(last - begin).count();
  EXPECT_NEAR(seconds, 20, 0.6);
  // exp(-1) of the gaps are longer than the mean.
  EXPECT_NEAR(long_gaps, 20000 * 0.3679, 300);
}

TEST(Schedule, TheSameSeedGivesTheSameTimes) {
  Schedule one(50, Arrivals::kPoisson, io::Time(), 7);
  Schedule same(50, Arrivals::kPoisson, io::Time(), 7);
  Schedule other(50, Arrivals::kPoisson, io::Time(), 8);
  EXPECT_EQ(one.Next(), same.Next());
  EXPECT_NE(one.Next(), other.Next());
}

// Takes `count` slots, then ends the pacer and the loop.
Task<void> TakeAndEnd(io::Loop& loop, Pacer& pacer, int count,
                      std::vector<io::Time>* taken) {
  for (int i = 0; i < count; ++i) {
    const std::optional<io::Time> slot = co_await pacer.Next();
    if (!slot.has_value()) break;
    taken->push_back(*slot);
  }
  pacer.End();
  loop.Stop();
}

Task<void> WaitForTheEnd(Pacer& pacer, bool* told) {
  while (true) {
    const std::optional<io::Time> slot = co_await pacer.Next();
    if (!slot.has_value()) break;
  }
  *told = true;
}

TEST(Pacer, HandsOutEachTimeOnceItHasCome) {
  auto loop = io::CreateLoop(io::EngineChoice::kAuto, io::LoopOptions());
  ASSERT_TRUE(loop.ok()) << MessageOf(loop.status());
  const io::Time begin = measure::NowExactly();
  const Schedule schedule(2000, Arrivals::kUniform, begin, 1);
  std::vector<io::Time> taken;
  {
    Pacer pacer(**loop, schedule);
    io::TaskGroup tasks(**loop);
    tasks.Spawn(TakeAndEnd(**loop, pacer, 50, &taken));
    (*loop)->Run();
    EXPECT_GE(measure::NowExactly(), taken.back());
  }
  Schedule again = schedule;
  ASSERT_EQ(taken.size(), 50u);
  for (const io::Time time : taken) EXPECT_EQ(time, again.Next());
}

TEST(Pacer, TheEndIsToldToEverybodyWhoWaits) {
  auto loop = io::CreateLoop(io::EngineChoice::kAuto, io::LoopOptions());
  ASSERT_TRUE(loop.ok()) << MessageOf(loop.status());
  const Schedule schedule(1000, Arrivals::kUniform, measure::NowExactly(), 1);
  std::vector<io::Time> taken;
  bool told = false;
  {
    Pacer pacer(**loop, schedule);
    io::TaskGroup tasks(**loop);
    tasks.Spawn(WaitForTheEnd(pacer, &told));
    tasks.Spawn(TakeAndEnd(**loop, pacer, 5, &taken));
    (*loop)->Run();
  }
  EXPECT_TRUE(told);
}

}  // namespace
}  // namespace tlspost::load
