// The loop's clock, as a type of its own.
//
// A Time is monotonic, counted by a Loop, constant within one of its turns,
// and virtual in the simulation. It never comes from std::chrono's clocks and
// cannot be mixed with them by mistake.

#ifndef TLSPOST_COMMON_IO_TIME_H_
#define TLSPOST_COMMON_IO_TIME_H_

#include <chrono>

namespace tlspost::io {

struct LoopClock {
  using duration = std::chrono::nanoseconds;
  using rep = duration::rep;
  using period = duration::period;
  using time_point = std::chrono::time_point<LoopClock>;
  static constexpr bool is_steady = true;
};

using Time = LoopClock::time_point;
using Duration = LoopClock::duration;
using WallTime = std::chrono::system_clock::time_point;

// A deadline that does not come.
inline constexpr Time kNever = Time::max();

inline double ToSeconds(Duration duration) {
  return std::chrono::duration<double>(duration).count();
}

}  // namespace tlspost::io

#endif  // TLSPOST_COMMON_IO_TIME_H_
