// Counters with labels, and durations in classes.

#include "proxy/counter_rows.h"

#include <gtest/gtest.h>

#include <chrono>

#include "proxy/counters.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

TEST(CounterRows, EachCellIsItsOwn) {
  CounterRows<3, 2> rows;
  for (size_t row = 0; row < 3; ++row) {
    for (size_t column = 0; column < 2; ++column) {
      rows.at(row, column) += static_cast<int64_t>(10 * row + column + 1);
    }
  }
  EXPECT_EQ(rows.at(2, 0), 21);
  EXPECT_EQ(rows.at(0, 1), 2);
  EXPECT_EQ(rows.Sum(), 1 + 2 + 11 + 12 + 21 + 22);
  CounterRows<3, 2> twice = rows;
  twice += rows;
  EXPECT_EQ(twice.at(1, 1), 24);
}

TEST(DurationHistogram, AnUpperEndBelongsToItsClass) {
  DurationHistogram histogram;
  histogram.Observe(500us);
  histogram.Observe(501us);
  histogram.Observe(1ms);
  histogram.Observe(301s);
  EXPECT_EQ(histogram.counts[0], 1);
  EXPECT_EQ(histogram.counts[1], 2);
  EXPECT_EQ(histogram.counts.back(), 1);
  EXPECT_EQ(histogram.count(), 4);
  EXPECT_EQ(histogram.sum_us, 500 + 501 + 1000 + 301'000'000);
}

TEST(DurationHistogram, QuantilesLieWithinTheirClass) {
  DurationHistogram histogram;
  EXPECT_EQ(histogram.QuantileUs(0.5), 0);
  for (int i = 0; i < 90; ++i) histogram.Observe(3ms);
  for (int i = 0; i < 10; ++i) histogram.Observe(70ms);
  EXPECT_GT(histogram.QuantileUs(0.5), 2'500);
  EXPECT_LE(histogram.QuantileUs(0.5), 5'000);
  EXPECT_EQ(histogram.QuantileUs(0.9), 5'000);
  EXPECT_EQ(histogram.QuantileUs(0.95), 75'000);
  EXPECT_EQ(histogram.QuantileUs(1), 100'000);
  DurationHistogram slow;
  slow.Observe(1000s);
  EXPECT_EQ(slow.QuantileUs(0.5), 300'000'000);
}

TEST(DurationHistogram, SinceIsWhatCameInBetween) {
  DurationHistogram before;
  before.Observe(3ms);
  DurationHistogram now = before;
  now.Observe(2s);
  const DurationHistogram between = now.Since(before);
  EXPECT_EQ(between.count(), 1);
  EXPECT_EQ(between.sum_us, 2'000'000);
  EXPECT_EQ(between.counts[3], 0);
}

TEST(CountersTest, RowsAndPhasesAreSummedToo) {
  Counters a;
  ++a.limits_hit[Limit::kRecipient];
  a.Observe(Phase::kHandshake, 1ms);
  Counters b = a;
  b += a;
  EXPECT_EQ(b.limits_hit[Limit::kRecipient], 2);
  EXPECT_EQ(b.limits_hit.Sum(), 2);
  EXPECT_EQ(b.phases[static_cast<size_t>(Phase::kHandshake)].count(), 2);
  EXPECT_EQ(b.phases[static_cast<size_t>(Phase::kMessage)].count(), 0);
}

}  // namespace
}  // namespace tlspost
