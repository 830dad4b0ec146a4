// The last hour: what happened between two looks, and no more than that.

#include "proxy/status_history.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;

TEST(StatusHistory, KeepsWhatChanged) {
  StatusHistory history;
  Counters counters;
  counters.messages = 100;
  counters.messages_failed = 1;
  history.Add(counters, 10);
  counters.messages = 107;
  counters.messages_failed = 3;
  counters.sessions = 4;
  counters.Observe(Phase::kMessage, 3ms);
  history.Add(counters, 20);
  ASSERT_EQ(history.samples().size(), 2u);
  const StatusSample& last = history.samples().back();
  EXPECT_EQ(last.time_s, 20);
  EXPECT_EQ(last.messages, 7);
  EXPECT_EQ(last.refused, 2);
  EXPECT_EQ(last.sessions, 4);
  EXPECT_GT(last.p50_ms, 2.5);
  EXPECT_LE(last.p95_ms, 5);
  history.Add(counters, 30);
  EXPECT_EQ(history.samples().back().messages, 0);
  EXPECT_EQ(history.samples().back().p50_ms, 0);
}

TEST(StatusHistory, IsAnHourAndNoMore) {
  StatusHistory history;
  Counters counters;
  for (int i = 0; i < 1000; ++i) {
    ++counters.messages;
    history.Add(counters, i);
  }
  EXPECT_EQ(history.samples().size(), StatusHistory::kSamples);
  EXPECT_EQ(history.samples().front().time_s,
            1000 - static_cast<int64_t>(StatusHistory::kSamples));
}

// A look at the counters themselves is kept each minute: the span is never
// shorter than asked for, and at most a minute longer.
TEST(StatusHistory, PhasesAndLimitsOfTheLastLooks) {
  StatusHistory history;
  Counters counters;
  for (int i = 0; i < 100; ++i) {
    counters.Observe(Phase::kHandshake, 1ms);
    ++counters.limits_hit[Limit::kRecipient];
    history.Add(counters, i);
  }
  const auto handshake = static_cast<size_t>(Phase::kHandshake);
  for (const size_t looks : {1u, 6u, 30u, 60u}) {
    const int64_t seen = history.PhasesSince(looks)[handshake].count();
    EXPECT_GE(seen, static_cast<int64_t>(looks)) << looks;
    EXPECT_LE(seen, static_cast<int64_t>(looks) + 6) << looks;
    EXPECT_EQ(history.LimitsSince(looks)[Limit::kRecipient], seen);
  }
  EXPECT_EQ(history.PhasesSince(360)[handshake].count(), 100);
}

TEST(StatusHistory, AnHourLaterTheFirstIsForgotten) {
  StatusHistory history;
  Counters counters;
  ++counters.limits_hit[Limit::kRecipient];
  history.Add(counters, 0);
  EXPECT_EQ(history.LimitsSince(360)[Limit::kRecipient], 1);
  for (int i = 1; i <= 380; ++i) history.Add(counters, i);
  EXPECT_EQ(history.LimitsSince(360)[Limit::kRecipient], 0);
}

}  // namespace
}  // namespace tlspost
