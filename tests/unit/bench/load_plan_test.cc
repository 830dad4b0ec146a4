// What may be loaded, with what, and when to stop.

#include "bench/load/load_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace tlspost::load {
namespace {

using testing::HasSubstr;

std::string Refusal(const LoadOptions& options) {
  const auto plan = LoadPlan::Make(options);
  return std::string(MessageOf(plan.status()));
}

LoadOptions For(const std::string& server) {
  LoadOptions options;
  options.server = server;
  return options;
}

TEST(LoadPlan, OnlyThisMachineUnlessToldOtherwise) {
  for (const char* server :
       {"127.0.0.1:25", "127.9.9.9:25", "[::1]:25", "unix:/tmp/x"}) {
    EXPECT_EQ(Refusal(For(server)), "") << server;
  }
  for (const char* server :
       {"192.0.2.1:25", "[2001:db8::1]:25", "0.0.0.0:25", "128.0.0.1:25"}) {
    EXPECT_THAT(Refusal(For(server)), HasSubstr("--allow-remote")) << server;
    LoadOptions allowed = For(server);
    allowed.allow_remote = true;
    EXPECT_EQ(Refusal(allowed), "") << server;
  }
}

TEST(LoadPlan, SourcesAreAddressesOfTheLoopback) {
  LoadOptions options = For("127.0.0.1:25");
  EXPECT_TRUE(LoadPlan::Make(options)->sources.empty());
  options.sources = 300;
  const auto plan = LoadPlan::Make(options);
  ASSERT_EQ(plan->sources.size(), 300u);
  EXPECT_EQ(plan->sources.front().Address(), "127.0.0.1");
  EXPECT_EQ(plan->sources[254].Address(), "127.0.0.255");
  EXPECT_EQ(plan->sources.back().Address(), "127.0.1.44");
  options.server = "[::1]:25";
  EXPECT_THAT(Refusal(options), HasSubstr("--sources"));
  options.server = "192.0.2.1:25";
  options.allow_remote = true;
  EXPECT_THAT(Refusal(options), HasSubstr("--sources"));
}

TEST(LoadPlan, EveryRunEnds) {
  EXPECT_GT(LoadPlan::Make(For("127.0.0.1:25"))->options.duration,
            io::Duration(0));
  LoadOptions counted = For("127.0.0.1:25");
  counted.count = 5;
  EXPECT_EQ(LoadPlan::Make(counted)->options.duration, io::Duration(0));
  LoadOptions verified = For("127.0.0.1:25");
  verified.verify = "127.0.0.1:1";
  EXPECT_GT(LoadPlan::Make(verified)->options.count, 0)
      << "what is remembered is bounded";
}

TEST(LoadPlan, RefusesWhatMakesNoSense) {
  LoadOptions options = For("127.0.0.1:25");
  options.size = "big";
  EXPECT_THAT(Refusal(options), HasSubstr("--size: "));
  options = For("nowhere");
  EXPECT_THAT(Refusal(options), HasSubstr("--server: "));
  options = For("127.0.0.1:25");
  options.rate = options.session_rate = 1;
  EXPECT_THAT(Refusal(options), HasSubstr("--session-rate"));
  options = For("127.0.0.1:25");
  options.messages = 0;
  options.count = 1;
  EXPECT_THAT(Refusal(options), HasSubstr("--sessions"));
  options = For("127.0.0.1:25");
  options.messages = 0;
  options.rate = 1;
  EXPECT_THAT(Refusal(options), HasSubstr("--session-rate"));
  options = For("127.0.0.1:25");
  options.verify = "127.0.0.1:1";
  options.count = 99'000'000;
  EXPECT_THAT(Refusal(options), HasSubstr("--verify"));
}

TEST(Budget, GivesNoMoreThanThereIs) {
  Budget budget(2, 3);
  EXPECT_TRUE(budget.TakeSession());
  EXPECT_TRUE(budget.TakeMessage());
  EXPECT_FALSE(budget.exhausted());
  EXPECT_TRUE(budget.TakeMessage());
  EXPECT_TRUE(budget.exhausted());
  EXPECT_FALSE(budget.TakeMessage());
  EXPECT_FALSE(budget.TakeSession()) << "a session would have nothing to send";
}

TEST(Budget, ZeroIsNoLimitAndStopIsTheEnd) {
  Budget budget(0, 0);
  for (int i = 0; i < 1000; ++i) {
    ASSERT_TRUE(budget.TakeSession());
    ASSERT_TRUE(budget.TakeMessage());
  }
  EXPECT_FALSE(budget.exhausted());
  budget.Stop();
  EXPECT_FALSE(budget.TakeSession());
  EXPECT_FALSE(budget.TakeMessage());
}

}  // namespace
}  // namespace tlspost::load
