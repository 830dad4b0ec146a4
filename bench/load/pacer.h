// Pacer: the times at which an open loop's work is due, and who takes them.
//
// A thread of its own sleeps until each is due (the loop's own timers tick too
// slowly for that) and hands it to the loop, where clients wait for them. What
// is late is taken late and counts from when it was due. At most kMaxDue wait;
// beyond that they are missed, and counted.

#ifndef TLSPOST_BENCH_LOAD_PACER_H_
#define TLSPOST_BENCH_LOAD_PACER_H_

#include <atomic>
#include <cstdint>
#include <deque>
#include <optional>
#include <thread>
#include <vector>

#include "bench/load/load_options.h"
#include "common/base/task.h"
#include "common/io/loop.h"
#include "common/io/wait_queue.h"

namespace tlspost::load {

// The schedule itself: due times of `per_second`, evenly or as a Poisson
// process of that rate. Deterministic.
class Schedule {
 public:
  Schedule(double per_second, Arrivals arrivals, io::Time begin, uint64_t seed);
  // The next due time, never before the last one.
  io::Time Next();

 private:
  const double seconds_apart_;
  const Arrivals arrivals_;
  const io::Time begin_;
  double seconds_ = 0;  // behind begin_
  uint64_t random_;
};

class Pacer {
 public:
  static constexpr size_t kMaxDue = 1'000'000;
  // Wakes the loop no more often: what is due in between comes with the next.
  static constexpr io::Duration kShortestSleep = std::chrono::microseconds(200);

  Pacer(io::Loop& loop, Schedule schedule);
  ~Pacer();
  Pacer(const Pacer&) = delete;
  Pacer& operator=(const Pacer&) = delete;

  // --- on the loop's thread ---
  // When the next piece of work was due; nothing when there is no more.
  Task<std::optional<io::Time>> Next();
  // No more work; who waits for it is told.
  void End();
  // What was due and nobody began.
  uint64_t missed() const { return missed_ + due_.size(); }

 private:
  void Pace();
  void Hand(const std::vector<io::Time>& due);

  io::Loop& loop_;
  Schedule schedule_;  // the thread's
  std::deque<io::Time> due_;
  io::WaitQueue waiting_;
  uint64_t missed_ = 0;
  bool ended_ = false;
  std::atomic<bool> stop_ = false;
  std::thread thread_;
};

}  // namespace tlspost::load

#endif  // TLSPOST_BENCH_LOAD_PACER_H_
