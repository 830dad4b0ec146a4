// Sizes of messages: what is drawn is what was asked for.

#include "bench/measure/size_distribution.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <vector>

#include "common/base/status.h"

namespace tlspost::measure {
namespace {

constexpr int kDraws = 20000;

std::vector<int64_t> DrawMany(const char* text) {
  const auto sizes = SizeDistribution::Parse(text);
  EXPECT_TRUE(sizes.ok()) << MessageOf(sizes.status());
  std::vector<int64_t> drawn;
  uint64_t state = 7;
  const auto next = [&state] {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return state ^ (state >> 32);
  };
  for (int i = 0; i < kDraws; ++i) {
    const uint64_t random = next();
    drawn.push_back(sizes->Draw(random, next()));
    EXPECT_LE(drawn.back(), sizes->largest());
  }
  std::sort(drawn.begin(), drawn.end());
  return drawn;
}

TEST(SizeDistribution, OneSizeIsAlwaysThat) {
  const std::vector<int64_t> drawn = DrawMany("4k");
  EXPECT_EQ(drawn.front(), 4096);
  EXPECT_EQ(drawn.back(), 4096);
}

TEST(SizeDistribution, AListIsDrawnByItsWeights) {
  std::map<int64_t, int> times;
  for (const int64_t octets : DrawMany("1k,2k*8,1M")) ++times[octets];
  ASSERT_EQ(times.size(), 3u);
  EXPECT_NEAR(times[1024], kDraws / 10, kDraws / 100);
  EXPECT_NEAR(times[2048], kDraws * 8 / 10, kDraws / 100);
  EXPECT_NEAR(times[1 << 20], kDraws / 10, kDraws / 100);
}

TEST(SizeDistribution, UniformReachesBothEndsEvenly) {
  const std::vector<int64_t> drawn = DrawMany("uniform:10:19");
  EXPECT_EQ(drawn.front(), 10);
  EXPECT_EQ(drawn.back(), 19);
  EXPECT_NEAR(std::count(drawn.begin(), drawn.end(), 15), kDraws / 10,
              kDraws / 100);
}

TEST(SizeDistribution, LognormalHasItsMedianItsSpreadAndItsLimit) {
  const std::vector<int64_t> drawn = DrawMany("lognormal:8k:1.5:1M");
  EXPECT_NEAR(drawn[kDraws / 2], 8192, 400);
  // One sigma above the median: 84.13 % are below.
  const auto one_sigma = static_cast<size_t>(kDraws * 0.8413);
  EXPECT_NEAR(drawn[one_sigma], 8192 * 4.4817, 2500);
  EXPECT_EQ(drawn.back(), 1 << 20);
  EXPECT_GE(drawn.front(), 1);
}

TEST(SizeDistribution, RefusesWhatIsNone) {
  for (const char* wrong :
       {"", ",", "4x", "0", "101M", "1k*0", "1k*", "uniform:1k", "uniform:2:1",
        "uniform:1:2:3", "lognormal:8k", "lognormal:8k:9", "lognormal:8k:x",
        "lognormal:8k:1:1k:2", "normal:1:2"}) {
    EXPECT_FALSE(SizeDistribution::Parse(wrong).ok()) << wrong;
  }
}

}  // namespace
}  // namespace tlspost::measure
