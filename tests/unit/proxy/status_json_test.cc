// What the status page fetches. That it is JSON as others read it is for the
// end-to-end tests; here, that what peers say cannot change its shape, and that
// it is bounded.

#include "proxy/status_json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <string>

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using ::testing::HasSubstr;
using ::testing::Not;

size_t CountOf(const std::string& text, const std::string& words) {
  size_t count = 0;
  for (size_t at = text.find(words); at != std::string::npos;
       at = text.find(words, at + 1)) {
    ++count;
  }
  return count;
}

Refusal RefusalAt(int64_t time_s, std::string_view reply) {
  Refusal refusal;
  refusal.time_s = time_s;
  refusal.helo = FixedText<64>("<b>\"}]");
  refusal.reply = FixedText<160>(reply);
  return refusal;
}

TEST(StatusJson, WhatPeersSayIsAString) {
  StatusFacts facts;
  facts.hostname = "mx\"";
  facts.state = "ready";
  facts.refusals = {RefusalAt(1, "550 \"\x01\\")};
  facts.metrics.certificates = {{"a\"b", "RSA", 5}};
  const std::string json = FormatStatusJson(facts, StatusHistory());
  EXPECT_THAT(json, HasSubstr(R"("hostname": "mx\"")"));
  EXPECT_THAT(json, HasSubstr(R"("helo": "<b>\"}]")"));
  EXPECT_THAT(json, HasSubstr(R"("reply": "550 \"\u0001\\")"));
  EXPECT_THAT(json, HasSubstr(R"("name": "a\"b", "key": "RSA")"));
}

TEST(StatusJson, TheLatestRefusalsOfAllWorkersComeFirst) {
  StatusFacts facts;
  for (int i = 0; i < 100; ++i) {
    facts.refusals.push_back(RefusalAt((i * 37) % 100, "550 no"));
  }
  const std::string json = FormatStatusJson(facts, StatusHistory());
  EXPECT_EQ(CountOf(json, "\"command\":"), StatusFacts::kMaxRefusalsShown);
  EXPECT_LT(json.find("{\"time\": 99,"), json.find("{\"time\": 98,"));
  EXPECT_THAT(json, Not(HasSubstr("{\"time\": 79,")));
}

TEST(StatusJson, OnlyWhatWasSeenIsListed) {
  StatusFacts facts;
  ++facts.metrics.counters.handshake_ciphers.at(0);
  StatusHistory history;
  Counters counters;
  ++counters.limits_hit[Limit::kRecipient];
  counters.messages = 3;
  counters.Observe(Phase::kMessage, 4ms);
  history.Add(counters, 1234);
  const std::string json = FormatStatusJson(facts, history);
  EXPECT_THAT(json, HasSubstr(R"("ciphers": {"TLS_AES_256_GCM_SHA384": 1})"));
  EXPECT_THAT(json, HasSubstr(R"("limits": {"recipient_limit": 1})"));
  EXPECT_THAT(json, HasSubstr(R"("end": 1234, )"));
  EXPECT_THAT(json, HasSubstr(R"("messages": [3], "refused": [0])"));
  EXPECT_THAT(json, HasSubstr(R"("message": {"count": 1, "p50_ms": 3.75)"));
}

TEST(StatusJson, SessionsAndPools) {
  SessionFacts session;
  session.client = "192.0.2.1:4711";
  session.helo = "a\"b";
  session.state = "idle";
  session.tls = TlsUse::kTls12;
  session.age = 1500ms;
  const std::string sessions = FormatSessionsJson({session}, 7);
  EXPECT_THAT(sessions, HasSubstr(R"({"open": 7, "listed": 1,)"));
  EXPECT_THAT(sessions, HasSubstr(R"("helo": "a\"b", "state": "idle")"));
  EXPECT_THAT(sessions, HasSubstr(R"("tls": "TLSv1.2")"));
  EXPECT_THAT(sessions, HasSubstr(R"("age_s": 1.5,)"));

  WorkerReport worker;
  worker.backend_open = 3;
  TargetFacts target;
  target.address = "127.0.0.1:25";
  target.lent = 2;
  target.identities = "many";
  worker.targets = {target};
  const std::string pools = FormatPoolsJson({worker, worker}, 6, 50);
  EXPECT_THAT(pools, HasSubstr("\"backend_connections\": 6"));
  EXPECT_EQ(CountOf(pools, "\"address\": \"127.0.0.1:25\""), 2u);
  EXPECT_THAT(pools, HasSubstr("\"lent\": 2"));
}

}  // namespace
}  // namespace tlspost
