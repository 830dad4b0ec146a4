// Values of the instruments' command lines.

#include "bench/cli/parse_value.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tlspost::cli {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using std::chrono_literals::operator""us;

TEST(ParseValue, Sizes) {
  EXPECT_EQ(*ParseSize("0"), 0);
  EXPECT_EQ(*ParseSize("1000"), 1000);
  EXPECT_EQ(*ParseSize("4k"), 4096);
  EXPECT_EQ(*ParseSize("3M"), 3 << 20);
  EXPECT_EQ(*ParseSize("1G"), 1 << 30);
  for (const char* wrong : {"", "k", "4K", "4kb", "-1", "1.5k", "9999999G"}) {
    EXPECT_FALSE(ParseSize(wrong).ok()) << wrong;
  }
  EXPECT_EQ(FormatSize(4096), "4k");
  EXPECT_EQ(FormatSize(4097), "4097");
}

TEST(ParseValue, DurationsAlwaysHaveAUnit) {
  EXPECT_EQ(*ParseDuration("250us"), 250us);
  EXPECT_EQ(*ParseDuration("500ms"), 500ms);
  EXPECT_EQ(*ParseDuration("90s"), 90s);
  EXPECT_EQ(*ParseDuration("24h"), 24h);
  for (const char* wrong : {"", "5", "s", "-5s", "5 s", "25h", "5d"}) {
    EXPECT_FALSE(ParseDuration(wrong).ok()) << wrong;
  }
  EXPECT_EQ(FormatDuration(90s), "90s");
  EXPECT_EQ(FormatDuration(120s), "2m");
  EXPECT_EQ(FormatDuration(0s), "0s");
}

TEST(ParseValue, Numbers) {
  EXPECT_EQ(*ParseCount("17"), 17);
  EXPECT_FALSE(ParseCount("17x").ok());
  EXPECT_FALSE(ParseCount("-1").ok());
  EXPECT_EQ(*ParseNumber("0.5"), 0.5);
  EXPECT_FALSE(ParseNumber("0.5.").ok());
}

TEST(ParseValue, ListsKeepEmptyWords) {
  using Words = std::vector<std::string_view>;
  EXPECT_EQ(SplitList("", ','), Words());
  EXPECT_EQ(SplitList("a", ','), Words({"a"}));
  EXPECT_EQ(SplitList("a,,b", ','), Words({"a", "", "b"}));
  EXPECT_EQ(SplitList("a,", ','), Words({"a", ""}));
}

}  // namespace
}  // namespace tlspost::cli
