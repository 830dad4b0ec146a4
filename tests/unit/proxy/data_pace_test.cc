// Patience with slow messages: what uses it up and what gives it back.

#include "proxy/data_pace.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;
using std::chrono_literals::operator""ms;

constexpr io::Time kNow = io::Time(1000s);

// Seconds until a client that sends `octets` every `period` is given up; 0:
// not within a day.
int64_t Lasts(DataPace pace, uint64_t octets, io::Duration period) {
  io::Time now = kNow;
  while (now - kNow < std::chrono::hours(24)) {
    const io::Time deadline = pace.Deadline(now);
    if (now + period > deadline) {
      return std::chrono::duration_cast<std::chrono::seconds>(deadline - kNow)
          .count();
    }
    now += period;
    pace.Note(octets, period);
  }
  return 0;
}

TEST(DataPace, E113AnOctetNowAndThenIsNotEnough) {
  EXPECT_EQ(Lasts(DataPace(180s, 500), 1, 10s), 180);
  EXPECT_EQ(Lasts(DataPace(180s, 500), 0, 1s), 180);
}

TEST(DataPace, SlowerThanTheRateEndsLaterAndFasterNever) {
  EXPECT_EQ(Lasts(DataPace(180s, 500), 250, 1s), 359);
  EXPECT_EQ(Lasts(DataPace(180s, 500), 500, 1s), 0);
  EXPECT_EQ(Lasts(DataPace(180s, 500), 16384, 30s), 0);
}

TEST(DataPace, APauseIsForgivenAsLongAsPatienceLasts) {
  DataPace pace(180s, 500);
  pace.Note(1000, 100s);
  EXPECT_EQ(pace.Deadline(kNow), kNow + 82s);
  // Never more than at first, however much comes.
  pace.Note(UINT64_MAX, 1ms);
  EXPECT_EQ(pace.Deadline(kNow), kNow + 180s);
  // Late by a tick is not worse than used up.
  pace.Note(500, 200s);
  EXPECT_EQ(pace.Deadline(kNow), kNow + 1s);
}

TEST(DataPace, WithoutARateEveryPieceHasTheWholeTime) {
  DataPace pace(180s, 0);
  pace.Note(1, 179s);
  EXPECT_EQ(pace.Deadline(kNow), kNow + 180s);
}

}  // namespace
}  // namespace tlspost
