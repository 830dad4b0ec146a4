// One declaration per option: parsed, refused, explained.

#include "bench/cli/option_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <string>
#include <vector>

#include "common/base/status.h"

namespace tlspost::cli {
namespace {

using std::chrono_literals::operator""s;
using testing::HasSubstr;

enum class Colour { kRed, kGreen };
constexpr std::array<std::string_view, 2> kColours = {"red", "green"};

struct Values {
  std::string name = "nobody";
  std::vector<std::string> friends = {"a", "b"};
  int64_t count = 3;
  double rate = 0.5;
  io::Duration time = 10s;
  bool loud = false;
  Colour colour = Colour::kRed;
};

class OptionTableTest : public testing::Test {
 protected:
  OptionTableTest() {
    table_.Group("Things");
    table_.AddText("name", &values_.name, "NAME", "Who it is.");
    table_.AddList("friend", &values_.friends, "NAME", "Who else.");
    table_.AddCount("count", &values_.count, 1, 9, "How many.");
    table_.AddNumber("rate", &values_.rate, 100, "How fast.");
    table_.AddDuration("time", &values_.time, 60s, "How long.");
    table_.Group("Looks");
    table_.AddSwitch("loud", &values_.loud, "Whether it shouts.");
    table_.AddChoice("colour", &values_.colour, kColours, "Which colour.");
  }

  // "" when it was parsed.
  std::string Parse(std::vector<const char*> args) {
    const absl::Status status = table_.Parse(args);
    return std::string(MessageOf(status));
  }

  Values values_;
  OptionTable table_;
};

TEST_F(OptionTableTest, ReadsEveryKindOfValue) {
  EXPECT_EQ(Parse({"--name=x=y", "--friend=c", "--friend=d", "--count=9",
                   "--rate=2.5", "--time=30s", "--loud", "--colour=green"}),
            "");
  EXPECT_EQ(values_.name, "x=y");
  EXPECT_EQ(values_.friends, std::vector<std::string>({"c", "d"}));
  EXPECT_EQ(values_.count, 9);
  EXPECT_EQ(values_.rate, 2.5);
  EXPECT_EQ(values_.time, 30s);
  EXPECT_TRUE(values_.loud);
  EXPECT_EQ(values_.colour, Colour::kGreen);
}

TEST_F(OptionTableTest, LeavesDefaultsAlone) {
  EXPECT_EQ(Parse({"--loud=no"}), "");
  EXPECT_EQ(values_.name, "nobody");
  EXPECT_EQ(values_.friends.size(), 2u);
  EXPECT_EQ(values_.count, 3);
}

TEST_F(OptionTableTest, SaysWhatIsWrongAndWithWhat) {
  EXPECT_EQ(Parse({"--count=10"}), "--count: must be from 1 to 9");
  EXPECT_EQ(Parse({"--count=0"}), "--count: must be from 1 to 9");
  EXPECT_EQ(Parse({"--count=many"}), "--count: \"many\" is no whole number");
  EXPECT_EQ(Parse({"--rate=101"}), "--rate: must be from 0 to 100");
  EXPECT_EQ(Parse({"--time=2m"}), "--time: must be from 0s to 1m");
  EXPECT_EQ(Parse({"--loud=maybe"}), "--loud: must be yes or no");
  EXPECT_EQ(Parse({"--colour=blue"}), "--colour: must be one of red|green");
  EXPECT_EQ(Parse({"--name"}), "--name needs a value: --name=NAME");
  EXPECT_EQ(Parse({"--size=1"}), "unknown option --size; --help tells all");
  EXPECT_THAT(Parse({"count=1"}), HasSubstr("is no option"));
  EXPECT_EQ(values_.count, 3) << "what is refused changes nothing";
}

TEST_F(OptionTableTest, HelpHasEveryOptionWithItsDefault) {
  const std::string help = table_.Help("usage\n");
  EXPECT_EQ(help.substr(0, 6), "usage\n");
  EXPECT_THAT(help, HasSubstr("\nThings:\n  --name=NAME\n      Who it is.\n"
                              "      Default: nobody\n"));
  EXPECT_THAT(help, HasSubstr("--friend=NAME\n      Who else.\n"
                              "      Default: a, b\n"));
  EXPECT_THAT(help, HasSubstr("--count=1..9\n"));
  EXPECT_THAT(help, HasSubstr("--time=0s..1m\n"));
  EXPECT_THAT(help, HasSubstr("\nLooks:\n  --loud=yes|no\n"));
  EXPECT_THAT(help, HasSubstr("--colour=red|green\n"));
}

TEST_F(OptionTableTest, HelpIsWrapped) {
  std::string value;
  std::string text;
  for (int i = 0; i < 60; ++i) text += "word ";
  text += "end.";
  OptionTable table;
  table.AddText("name", &value, "NAME", text);
  const std::string help = table.Help("");
  for (size_t begin = 0; begin < help.size();) {
    const size_t end = help.find('\n', begin);
    EXPECT_LE(end - begin, 79u);
    begin = end + 1;
  }
  EXPECT_THAT(help, HasSubstr("word end.\n"));
}

}  // namespace
}  // namespace tlspost::cli
