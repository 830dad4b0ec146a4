// What every session rests on: coroutines and timers.

#include <benchmark/benchmark.h>

#include <chrono>
#include <memory>
#include <vector>

#include "common/base/task.h"
#include "common/io/timer_wheel.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

Task<int> Child(int value) { co_return value + 1; }

Task<int> Parent(int calls) {
  int sum = 0;
  for (int i = 0; i < calls; ++i) {
    const int value = co_await Child(i);
    sum += value;
  }
  co_return sum;
}

// One awaited call that completes at once: a frame taken and given back.
void BM_CoroutineCall(benchmark::State& state) {
  constexpr int kCalls = 1000;
  for (auto _ : state) {
    Task<int> task = Parent(kCalls);
    task.Start();
    benchmark::DoNotOptimize(task.Take());
  }
  state.SetItemsProcessed(state.iterations() * kCalls);
}
BENCHMARK(BM_CoroutineCall);

class NoTimer final : public io::Timer {
 public:
  void OnDeadline() override {}
};

// A deadline that is moved later again and again, as each read does.
void BM_TimerMovedLater(benchmark::State& state) {
  auto wheel = std::make_unique<io::TimerWheel>(io::Time(1s));
  NoTimer timer;
  io::Time deadline(2s);
  for (auto _ : state) {
    deadline += 1ms;
    wheel->Arm(timer, deadline);
  }
}
BENCHMARK(BM_TimerMovedLater);

// Armed, waited for among many others, and fired.
void BM_TimerFired(benchmark::State& state) {
  const auto timers = static_cast<size_t>(state.range(0));
  io::Time now(1s);
  auto wheel = std::make_unique<io::TimerWheel>(now);
  std::vector<NoTimer> waiting(timers);
  for (auto _ : state) {
    for (size_t i = 0; i < timers; ++i) {
      wheel->Arm(waiting[i], now + 1s + static_cast<int>(i % 1000) * 1ms);
    }
    for (int tick = 0; tick < 130; ++tick) {
      now += io::TimerWheel::kTick;
      wheel->Advance(now);
    }
  }
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(BM_TimerFired)->Arg(10000);

}  // namespace
}  // namespace tlspost
