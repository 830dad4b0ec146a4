// Faults on request: read, refused, and done when they were asked for.

#include "bench/sink/fault_plan.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "common/base/status.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;

FaultPlan Plan(const std::vector<std::string>& texts) {
  auto plan = FaultPlan::Parse(texts);
  EXPECT_TRUE(plan.ok()) << MessageOf(plan.status());
  return *std::move(plan);
}

SinkMta::Event At(std::string_view verb, int connection = 0) {
  return {connection, verb, ""};
}

TEST(FaultPlan, DoesNothingUnasked) {
  FaultPlan plan = Plan({});
  EXPECT_TRUE(plan.empty());
  EXPECT_FALSE(plan.At(At("MAIL")).has_value());
  EXPECT_EQ(plan.AtMessage(), MessageFault::kNone);
}

TEST(FaultPlan, ReadsEveryAction) {
  const auto delay = Plan({"MAIL:delay=50ms"}).At(At("MAIL"));
  ASSERT_TRUE(delay.has_value());
  EXPECT_EQ(delay->delay, 50ms);
  EXPECT_TRUE(delay->normal);
  const auto reject = Plan({"RCPT:reject=550"}).At(At("RCPT"));
  ASSERT_TRUE(reject.has_value());
  EXPECT_EQ(reject->reply, "550 5.7.1 Refused on request\r\n");
  EXPECT_FALSE(reject->close);
  EXPECT_EQ(Plan({"RCPT:reject=450"}).At(At("RCPT"))->reply.substr(0, 9),
            "450 4.7.1");
  const auto drop = Plan({"END:drop"}).At(At("."));
  ASSERT_TRUE(drop.has_value());
  EXPECT_TRUE(drop->close);
  EXPECT_EQ(drop->reply, "");
  const auto busy = Plan({"CONNECT:421"}).At(At("CONNECT"));
  ASSERT_TRUE(busy.has_value());
  EXPECT_TRUE(busy->close);
  EXPECT_EQ(busy->reply.substr(0, 4), "421 ");
}

TEST(FaultPlan, StrikesEveryNthTimeAtItsVerbOnly) {
  FaultPlan plan = Plan({"MAIL:reject=450:3"});
  std::string struck;
  for (int i = 0; i < 9; ++i) {
    EXPECT_FALSE(plan.At(At("RCPT")).has_value());
    struck += plan.At(At("MAIL")).has_value() ? 'x' : '.';
  }
  EXPECT_EQ(struck, "..x..x..x");
}

TEST(FaultPlan, AStalledConnectionSaysNothingMore) {
  FaultPlan plan = Plan({"DATA:stall:2"});
  EXPECT_FALSE(plan.At(At("DATA", 1)).has_value());
  ASSERT_TRUE(plan.At(At("DATA", 2)).has_value());
  const auto later = plan.At(At("QUIT", 2));
  ASSERT_TRUE(later.has_value());
  EXPECT_EQ(later->reply, "");
  EXPECT_FALSE(later->close);
  EXPECT_FALSE(later->normal);
  EXPECT_FALSE(plan.At(At("QUIT", 1)).has_value());
}

TEST(FaultPlan, MessagesAreLostDoubledAndChanged) {
  FaultPlan plan = Plan({"MESSAGE:lose:2", "MESSAGE:double:3"});
  EXPECT_EQ(plan.AtMessage(), MessageFault::kNone);
  EXPECT_EQ(plan.AtMessage(), MessageFault::kLose);
  EXPECT_EQ(plan.AtMessage(), MessageFault::kDouble);
  EXPECT_EQ(Plan({"MESSAGE:change"}).AtMessage(), MessageFault::kChange);
}

TEST(FaultPlan, RefusesWhatIsNone) {
  for (const char* wrong :
       {"", "MAIL", "MAIL:", "SEND:drop", "MAIL:lose", "MESSAGE:drop",
        "MAIL:reject=250", "MAIL:reject=600", "MAIL:reject", "MAIL:delay=5",
        "MAIL:delay=2m", "MAIL:drop:0", "MAIL:drop:x", "MAIL:drop:1:2",
        "mail:drop"}) {
    EXPECT_FALSE(FaultPlan::Parse({wrong}).ok()) << wrong;
  }
}

}  // namespace
}  // namespace tlspost
