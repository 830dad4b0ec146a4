// TLS versions and groups as administrators write them.

#include "proxy/tls_terms.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "common/base/status.h"

namespace tlspost {
namespace {

using ::testing::HasSubstr;
using tls::TlsVersion;

void ExpectRange(std::string_view text, TlsVersion lowest, TlsVersion highest) {
  const auto range = ParseTlsProtocols(text);
  ASSERT_TRUE(range.ok()) << text << ": " << range.status();
  EXPECT_EQ(range->lowest, lowest) << text;
  EXPECT_EQ(range->highest, highest) << text;
}

TEST(TlsProtocols, AreReadAsPostfixReadsThem) {
  ExpectRange(">=TLSv1.2", TlsVersion::kTls12, TlsVersion::kTls13);
  ExpectRange(">=TLSv1.2, <=TLSv1.2", TlsVersion::kTls12, TlsVersion::kTls12);
  ExpectRange("!SSLv2, !SSLv3, !TLSv1, !TLSv1.1", TlsVersion::kTls12,
              TlsVersion::kTls13);
  ExpectRange("!SSLv2,!SSLv3", TlsVersion::kTls10, TlsVersion::kTls13);
  ExpectRange("TLSv1.2 TLSv1.3", TlsVersion::kTls12, TlsVersion::kTls13);
  ExpectRange("TLSv1.3", TlsVersion::kTls13, TlsVersion::kTls13);
  ExpectRange("<=TLSv1.2", TlsVersion::kTls10, TlsVersion::kTls12);
  ExpectRange("", TlsVersion::kTls10, TlsVersion::kTls13);
}

TEST(TlsProtocols, SayWhatIsWrong) {
  const auto error = [](std::string_view text) {
    return std::string(MessageOf(ParseTlsProtocols(text).status()));
  };
  EXPECT_THAT(error(">=TLS1.2"), HasSubstr("\">=TLS1.2\" is no TLS version"));
  EXPECT_THAT(error("TLSv1.1 TLSv1.3"), HasSubstr("leaves out TLSv1.2"));
  EXPECT_THAT(error("!TLSv1.2"), HasSubstr("leaves out TLSv1.2"));
  EXPECT_THAT(error(">=TLSv1.3, <=TLSv1.2"),
              HasSubstr("no TLS version at all"));
  EXPECT_THAT(error("SSLv3"), HasSubstr("no TLS version at all"));
}

TEST(GroupList, TakesAllWaysToPartNames) {
  EXPECT_EQ(GroupList("X25519 P-256, P-384"), "X25519:P-256:P-384");
  EXPECT_EQ(GroupList("X25519:P-256"), "X25519:P-256");
  EXPECT_EQ(GroupList(" "), "");
}

TEST(TlsTerms, AreTheSettingsATableMayChange) {
  EXPECT_TRUE(IsTlsTerm("tls_protocols"));
  EXPECT_TRUE(IsTlsTerm("tls_req_ccert"));
  EXPECT_FALSE(IsTlsTerm("tls_cert_file"));
  EXPECT_FALSE(IsTlsTerm("clients"));
}

}  // namespace
}  // namespace tlspost
