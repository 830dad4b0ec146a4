// The instruments' own clock: what it says now, not at the start of a turn.
//
// On the same scale as io::Loop::Now(), which stays constant within a turn and
// would hide what the turn itself took.

#ifndef TLSPOST_BENCH_MEASURE_CLOCK_H_
#define TLSPOST_BENCH_MEASURE_CLOCK_H_

#include <ctime>

#include "common/io/time.h"

namespace tlspost::measure {

inline io::Time NowExactly() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return io::Time(std::chrono::seconds(now.tv_sec) +
                  std::chrono::nanoseconds(now.tv_nsec));
}

}  // namespace tlspost::measure

#endif  // TLSPOST_BENCH_MEASURE_CLOCK_H_
