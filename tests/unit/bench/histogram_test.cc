// The log-linear histogram: exact where it says so, bounded error elsewhere.

#include "bench/measure/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

namespace tlspost::measure {
namespace {

TEST(Histogram, IsEmptyAtFirst) {
  const Histogram empty;
  EXPECT_EQ(empty.count(), 0u);
  EXPECT_EQ(empty.Percentile(50), 0u);
  EXPECT_EQ(empty.max(), 0u);
  EXPECT_EQ(empty.mean(), 0);
}

TEST(Histogram, BucketsFollowEachOtherWithoutGaps) {
  // Every bucket's last value is in it, and the next value in the next one.
  const size_t last = Histogram::IndexOf(Histogram::kHighest);
  for (size_t index = 0; index < last; ++index) {
    const uint64_t highest = Histogram::HighestIn(index);
    ASSERT_EQ(Histogram::IndexOf(highest), index) << highest;
    ASSERT_EQ(Histogram::IndexOf(highest + 1), index + 1) << highest;
  }
  EXPECT_EQ(Histogram::HighestIn(last), Histogram::kHighest);
}

TEST(Histogram, BucketsAreNarrowerThanOnePercent) {
  for (size_t index = 2 * Histogram::kSubBuckets;
       index < Histogram::IndexOf(Histogram::kHighest); ++index) {
    const auto low = static_cast<double>(Histogram::HighestIn(index - 1) + 1);
    const auto high = static_cast<double>(Histogram::HighestIn(index));
    ASSERT_LT((high - low) / low, 0.01) << index;
  }
}

TEST(Histogram, PercentilesOfSmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 100; ++value) histogram.Add(value);
  EXPECT_EQ(histogram.Percentile(0), 1u);
  EXPECT_EQ(histogram.Percentile(50), 50u);
  EXPECT_EQ(histogram.Percentile(99), 99u);
  EXPECT_EQ(histogram.Percentile(99.9), 100u);
  EXPECT_EQ(histogram.Percentile(100), 100u);
  EXPECT_EQ(histogram.mean(), 50.5);
}

TEST(Histogram, PercentilesAreTheSortedValuesWithinOnePercent) {
  std::vector<uint64_t> values;
  Histogram histogram;
  uint64_t state = 42;
  for (int i = 0; i < 20000; ++i) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    // Over nine magnitudes, as a latency might be.
    values.push_back(uint64_t{1} << ((state >> 58) % 31));
    values.back() += (state >> 20) % values.back();
    histogram.Add(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double percent : {1.0, 10.0, 50.0, 90.0, 99.0, 99.9, 100.0}) {
    const auto rank = static_cast<size_t>(
        std::ceil(percent / 100 * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto found = static_cast<double>(histogram.Percentile(percent));
    EXPECT_GE(found, exact) << percent;
    EXPECT_LE(found, exact * 1.01) << percent;
  }
}

TEST(Histogram, KeepsTheLargestExactlyAndNothingAboveIt) {
  Histogram histogram;
  histogram.Add(1'000'003);
  EXPECT_EQ(histogram.max(), 1'000'003u);
  EXPECT_EQ(histogram.Percentile(50), 1'000'003u);
  histogram.Add(uint64_t{1} << 50);
  EXPECT_EQ(histogram.max(), uint64_t{1} << 50);
  EXPECT_EQ(histogram.Percentile(100), Histogram::kHighest);
}

TEST(Histogram, MergedIsAsIfAllHadBeenAddedToOne) {
  Histogram one;
  Histogram other;
  Histogram both;
  for (uint64_t value = 1; value < 100'000; value += 7) {
    (value % 2 == 0 ? one : other).Add(value);
    both.Add(value);
  }
  one.Merge(other);
  EXPECT_EQ(one.count(), both.count());
  EXPECT_EQ(one.sum(), both.sum());
  EXPECT_EQ(one.max(), both.max());
  for (const double percent : {1.0, 50.0, 99.0}) {
    EXPECT_EQ(one.Percentile(percent), both.Percentile(percent));
  }
}

TEST(Histogram, ForEachVisitsWhatIsThereUpwards) {
  Histogram histogram;
  histogram.Add(5);
  histogram.Add(5);
  histogram.Add(100);
  std::vector<std::pair<uint64_t, uint64_t>> seen;
  histogram.ForEach([&seen](uint64_t highest, uint64_t count) {
    seen.emplace_back(highest, count);
  });
  const std::vector<std::pair<uint64_t, uint64_t>> wanted = {{5, 2}, {100, 1}};
  EXPECT_EQ(seen, wanted);
}

}  // namespace
}  // namespace tlspost::measure
