// What is said at the end: all of it, in the table and in JSON.

#include "bench/load/report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

namespace tlspost::load {
namespace {

using std::chrono_literals::operator""ms;
using testing::HasSubstr;
using testing::Not;

class ReportTest : public testing::Test {
 protected:
  ReportTest() {
    for (int i = 1; i <= 100; ++i) results_.Took(Phase::kMessage, i * 1ms);
    results_.messages = 100;
    results_.octets = 409'600;
    results_.sessions = 10;
  }

  RunSummary Summary() const {
    return {options_, results_, 2.0, 0.5, verdict_};
  }

  LoadOptions options_;
  Results results_;
  std::optional<verify::Verdict> verdict_;
};

TEST_F(ReportTest, HasRatesAndPercentiles) {
  const std::string table = FormatTable(Summary());
  EXPECT_THAT(table, HasSubstr("100 messages in 2.00 s: 50.0/s, 0.20 MB/s\n"));
  EXPECT_THAT(table, HasSubstr("10 sessions: 5.0/s; 0 errors"));
  EXPECT_THAT(table, HasSubstr("message           100"));
  EXPECT_THAT(table, HasSubstr("100 ms\n"));
  EXPECT_THAT(table, Not(HasSubstr("handshake")));
  EXPECT_THAT(table, Not(HasSubstr("verified")));
  const std::string json = FormatJson(Summary());
  EXPECT_THAT(json, HasSubstr("\"messages\":100,"));
  EXPECT_THAT(json, HasSubstr("\"messages_per_second\":50.000"));
  EXPECT_THAT(json, HasSubstr("\"message\":{\"count\":100,"));
  EXPECT_THAT(json, HasSubstr("\"max_us\":100000.000"));
  EXPECT_THAT(json, Not(HasSubstr("\"verify\"")));
}

TEST_F(ReportTest, HasErrorsByKindWithTheFirstOnesWords) {
  results_.Failed("rcpt 450", "450 4.7.1 \"later\"");
  results_.Failed("rcpt 450", "450 another");
  results_.Failed("connect lost", "refused");
  EXPECT_THAT(FormatTable(Summary()),
              HasSubstr("2 x rcpt 450: 450 4.7.1 \"later\"\n"));
  const std::string json = FormatJson(Summary());
  EXPECT_THAT(json, HasSubstr("\"error_count\":3"));
  EXPECT_THAT(json, HasSubstr("{\"kind\":\"rcpt 450\",\"count\":2,\"example\":"
                              "\"450 4.7.1 \\\"later\\\"\"}"));
}

TEST_F(ReportTest, SaysWhetherTheMessagesAreProved) {
  verdict_.emplace();
  verdict_->accepted = 100;
  EXPECT_THAT(FormatTable(Summary()), HasSubstr("each accepted message was "));
  EXPECT_THAT(FormatJson(Summary()),
              HasSubstr("\"verify\":{\"ok\":true,\"accepted\":100"));
  verdict_->lost = 3;
  verdict_->examples = {"message 7: gone"};
  const std::string table = FormatTable(Summary());
  EXPECT_THAT(table, HasSubstr("FAULTS: 3 lost\n  message 7: gone\n"));
  EXPECT_THAT(table, Not(HasSubstr("each accepted message was ")));
  EXPECT_THAT(FormatJson(Summary()), HasSubstr("\"ok\":false"));
  EXPECT_THAT(FormatJson(Summary()), HasSubstr("\"lost\":3"));
}

TEST(Results, MergedAreAddedUp) {
  Results one;
  Results other;
  one.Took(Phase::kMail, 1ms);
  other.Took(Phase::kMail, 3ms);
  one.Failed("mail 450", "first");
  other.Failed("mail 450", "second");
  other.Failed("quit lost", "gone");
  one.messages = 2;
  other.messages = 3;
  other.missed = 4;
  other.tls = "TLS";
  one.Merge(other);
  EXPECT_EQ(one.phase(Phase::kMail).count(), 2u);
  EXPECT_EQ(one.messages, 5u);
  EXPECT_EQ(one.missed, 4u);
  EXPECT_EQ(one.tls, "TLS");
  EXPECT_EQ(one.errors().at("mail 450").count, 2u);
  EXPECT_EQ(one.errors().at("mail 450").example, "first");
  EXPECT_EQ(one.error_count(), 3u);
}

TEST(Results, KindsOfErrorsAreBounded) {
  Results results;
  for (int i = 0; i < 1000; ++i) {
    results.Failed("kind " + std::to_string(i), "x");
  }
  EXPECT_EQ(results.errors().size(), Results::kMaxErrorKinds + 1);
  EXPECT_EQ(results.error_count(), 1000u);
}

}  // namespace
}  // namespace tlspost::load
