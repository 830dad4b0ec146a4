// Labels: each list says what it claims to, and nothing falls beside it.

#include "proxy/label_sets.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

#include "proxy/settings_table.h"

namespace tlspost {
namespace {

template <typename Labels>
void ExpectDistinct(const Labels& labels) {
  std::set<std::string_view> seen;
  for (const std::string_view label : labels) {
    EXPECT_FALSE(label.empty());
    EXPECT_TRUE(seen.insert(label).second) << label;
    for (const char c : label) {
      EXPECT_TRUE(c > ' ' && c <= '~' && c != '"' && c != '\\') << label;
    }
  }
}

TEST(LabelSets, AreListsOfDifferentWords) {
  ExpectDistinct(kTlsUseLabels);
  ExpectDistinct(kTlsVersionLabels);
  ExpectDistinct(kTlsCipherLabels);
  ExpectDistinct(kTlsGroupLabels);
  ExpectDistinct(kTlsAlertLabels);
  ExpectDistinct(kTlsFailureLabels);
  ExpectDistinct(kCommandLabels);
  ExpectDistinct(kBackendStepLabels);
  ExpectDistinct(kPhaseLabels);
  ExpectDistinct(kLimitLabels);
}

// Who sees a limit reached looks for the setting of that name.
TEST(LabelSets, LimitsAreSettings) {
  for (const std::string_view limit : kLimitLabels) {
    EXPECT_NE(FindSetting(limit), nullptr) << limit;
  }
}

TEST(LabelSets, EnumsAndTheirWordsAgree) {
  EXPECT_EQ(kLimitLabels[static_cast<size_t>(Limit::kGreetWait)], "greet_wait");
  EXPECT_EQ(kLimitLabels[static_cast<size_t>(Limit::kHopcount)],
            "hopcount_limit");
  EXPECT_EQ(kPhaseLabels[static_cast<size_t>(Phase::kMessage)], "message");
  EXPECT_EQ(kPhaseLabels[static_cast<size_t>(Phase::kBackendMail)],
            "backend_mail");
  EXPECT_EQ(kBackendStepLabels[static_cast<size_t>(BackendStep::kOther)],
            "other");
  EXPECT_EQ(kBackendStepLabels[static_cast<size_t>(BackendStep::kMail)],
            "mail");
  EXPECT_EQ(kTlsUseLabels[static_cast<size_t>(TlsUse::kTls13)], "TLSv1.3");
}

TEST(LabelSets, FailuresHaveTheWordsOfTheTlsLayer) {
  for (size_t i = 0; i < kTlsFailures.size(); ++i) {
    EXPECT_EQ(kTlsFailureLabels[i], tls::NameOf(kTlsFailures[i]));
    EXPECT_EQ(TlsFailureIndex(kTlsFailures[i]), i);
  }
  EXPECT_EQ(kTlsFailureLabels[TlsFailureIndex(tls::TlsFailure::kNone)],
            "lost_connection");
}

TEST(LabelSets, WhatIsInNoListIsOther) {
  EXPECT_EQ(LabelIndex(kTlsCipherLabels, "TLS_AES_256_GCM_SHA384"), 0u);
  EXPECT_EQ(LabelIndex(kTlsCipherLabels, "RC4-MD5"),
            kTlsCipherLabels.size() - 1);
  EXPECT_EQ(kTlsAlertLabels[TlsAlertIndex(48)], "unknown_ca");
  EXPECT_EQ(kTlsAlertLabels[TlsAlertIndex(255)], "other");
}

TEST(LabelSets, TheGroupIsTheMostThatIsKnown) {
  TlsDescription tls;
  EXPECT_EQ(TlsGroupOf(tls), "none");
  tls.key_exchange = "X25519";
  EXPECT_EQ(TlsGroupOf(tls), "X25519");
  tls.key_exchange = "ECDHE";
  tls.key_exchange_group = "prime256v1";
  EXPECT_EQ(TlsGroupOf(tls), "prime256v1");
}

TEST(LabelSets, RepliesByTheirFirstDigit) {
  EXPECT_EQ(kReplyClassLabels[ReplyClassIndex(250)], "2xx");
  EXPECT_EQ(kReplyClassLabels[ReplyClassIndex(354)], "3xx");
  EXPECT_EQ(kReplyClassLabels[ReplyClassIndex("450 4.7.1 no")], "4xx");
  EXPECT_EQ(kReplyClassLabels[ReplyClassIndex("550-no\r\n550 no")], "5xx");
  EXPECT_EQ(kReplyClassLabels[ReplyClassIndex("")], "5xx");
  EXPECT_EQ(kReplyClassLabels[ReplyClassIndex(199)], "5xx");
}

}  // namespace
}  // namespace tlspost
