// What of AUTH may be offered, passed on and told.

#include "common/smtp/auth.h"

#include <string>
#include <vector>

#include "common/smtp/base64.h"
#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

using std::string_literals::operator""s;

TEST(Auth, OffersWhatSaysNothingOfTheTlsAroundIt) {
  EXPECT_EQ(OfferedMechanisms("AUTH PLAIN login X-A_1"), "PLAIN LOGIN X-A_1");
  EXPECT_EQ(OfferedMechanisms(
                "AUTH SCRAM-SHA-256-PLUS SCRAM-SHA-256 EXTERNAL external"),
            "SCRAM-SHA-256");
  EXPECT_EQ(OfferedMechanisms("AUTH EXTERNAL"), "");
  EXPECT_EQ(OfferedMechanisms("AUTH"), "");
  EXPECT_EQ(OfferedMechanisms(""), "");
  // RFC 4422 section 3.1: 1 to 20 of A-Z, 0-9, "-" and "_".
  EXPECT_EQ(OfferedMechanisms("AUTH A=B \x01 12345678901234567890 "
                              "123456789012345678901"),
            "12345678901234567890");
}

TEST(Auth, APasswordNamesNoMechanism) {
  for (const char* name : {"PLAIN", "login", "Scram-SHA-256", "XOAUTH2"}) {
    EXPECT_TRUE(NamesMechanism(name)) << name;
  }
  for (const char* other : {"", "AGZvbwBiYXI=", "HUNTER2", "PLAIN2", "LOGI"}) {
    EXPECT_FALSE(NamesMechanism(other)) << other;
  }
}

TEST(Auth, Rfc4954_4_MechanismAndInitialResponse) {
  const auto bare = ParseAuth("plain", "PLAIN LOGIN");
  ASSERT_TRUE(bare.ok());
  EXPECT_EQ(bare->mechanism, "PLAIN");
  EXPECT_FALSE(bare->has_response);
  const auto whole = ParseAuth("LOGIN  Zm9v ", "PLAIN LOGIN");
  ASSERT_TRUE(whole.ok());
  EXPECT_EQ(whole->mechanism, "LOGIN");
  EXPECT_EQ(whole->response, "Zm9v");
  const auto empty = ParseAuth("PLAIN =", "PLAIN LOGIN");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->has_response);
  EXPECT_EQ(empty->response, "=");
  EXPECT_EQ(ParseAuth("PLAIN a b", "PLAIN").refusal(), reply::kSyntaxAuth);
  EXPECT_EQ(ParseAuth("PLAIN *", "PLAIN").refusal(), reply::kAuthBadResponse);
  EXPECT_EQ(ParseAuth("PLAIN a:b", "PLAIN").refusal(), reply::kAuthBadResponse);
  for (const char* other : {"LOGIN", "PLAI", "PLAINX", "EXTERNAL ="}) {
    EXPECT_EQ(ParseAuth(other, "PLAIN").refusal(),
              reply::kAuthMechanismUnknown);
  }
}

TEST(Auth, Rfc4954_4_AResponseIsBase64OrCancels) {
  for (const char* line : {"", "*", "Zm9v", "Zg==", "=", "DATA"}) {
    EXPECT_TRUE(ValidAuthResponse(line)) << line;
  }
  for (const char* line : {"**", "MAIL FROM:<>", "a b", " ", "Zm9v*", "\t"}) {
    EXPECT_FALSE(ValidAuthResponse(line)) << line;
  }
}

TEST(Auth, TheNameIsReadWhereItCanBe) {
  const auto plain = [](const std::string& octets) {
    return UserNameOf("PLAIN", {EncodeBase64(octets)});
  };
  EXPECT_EQ(plain("\0me\0secret"s), "me");
  EXPECT_EQ(plain("admin\0me\0secret"s), "me");
  EXPECT_EQ(plain("nothing"s), "");
  EXPECT_EQ(plain(""s), "");
  const std::string me = EncodeBase64("me");
  const std::string secret = EncodeBase64("secret");
  EXPECT_EQ(UserNameOf("LOGIN", {me, secret}), "me");
  // More or fewer steps than LOGIN has: nobody knows what was what.
  EXPECT_EQ(UserNameOf("LOGIN", {secret}), "");
  EXPECT_EQ(UserNameOf("LOGIN", {secret, me, secret}), "");
  EXPECT_EQ(UserNameOf("PLAIN", {secret, me}), "");
  EXPECT_EQ(UserNameOf("CRAM-MD5", {me}), "");
  EXPECT_EQ(UserNameOf("PLAIN", {}), "");
  EXPECT_EQ(UserNameOf("PLAIN", {"not base64"}), "");
}

TEST(Auth, WordsThatRepeatAResponseAreFound) {
  const std::vector<std::string> responses = {
      EncodeBase64("\0me@example\0hunter2"s), EncodeBase64("user=a\1auth=b"s),
      "", "=", "*"};
  for (const std::string& piece :
       {"me@example"s, "hunter2"s, responses[0], "user=a"s, "auth=b"s}) {
    EXPECT_TRUE(RepeatsResponse("535 5.7.8 " + piece + "?", responses))
        << piece;
  }
  EXPECT_FALSE(RepeatsResponse("535 5.7.8 Error: me=b", responses));
  EXPECT_FALSE(RepeatsResponse("", responses));
  EXPECT_FALSE(RepeatsResponse("535 5.7.8 Error", {}));
}

TEST(Auth, WipedIsEmpty) {
  std::string secret(100, 'x');
  Wipe(secret);
  EXPECT_TRUE(secret.empty());
  EXPECT_LT(secret.capacity(), 100u);
}

}  // namespace
}  // namespace tlspost::smtp
