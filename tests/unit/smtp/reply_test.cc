// Our own replies: their shape is checked by the compiler, their variants here.

#include "common/smtp/reply.h"

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

TEST(Reply, CodeAndTextAreThoseOfTheLine) {
  EXPECT_EQ(reply::kMustStartTls.code(), 530);
  EXPECT_EQ(reply::kMustStartTls.text(),
            "530 5.7.0 Must issue a STARTTLS command first\r\n");
  EXPECT_EQ(reply::kStartInput.code(), 354);
}

TEST(ReplyDeathTest, AWrongShapeIsNoReply) {
  for (const char* bad :
       {"250 2.0.0 Ok", "250 Ok\r\n", "250 5.0.0 Ok\r\n", "150 1.0.0 x\r\n",
        "250-2.0.0 Ok\r\n", "250 2.0.0 a\r\nb\r\n", "354 3.0.0 Go\r\n"}) {
    EXPECT_DEATH(Reply{std::string_view(bad)}, "WellFormed") << bad;
  }
}

TEST(Reply, Rfc3463_EnhancedCodeIsFoundOnlyWhereItIsOne) {
  EXPECT_EQ(EnhancedCodeOf("250 2.1.5 Ok"), "2.1.5");
  EXPECT_EQ(EnhancedCodeOf("250-2.1.5"), "2.1.5");
  EXPECT_EQ(EnhancedCodeOf("538 5.7.11 no\r\n"), "5.7.11");
  for (const char* none :
       {"", "250", "250 ", "250 Ok", "250 5.1.5 Ok", "250 2.1 Ok", "250 2.1.x",
        "250 2.1.5x", "250 2.1.5.1 Ok", "250 2.1234.5 Ok", "250 2..5 x"}) {
    EXPECT_EQ(EnhancedCodeOf(none), "") << none;
  }
}

TEST(Reply, Rfc5321_4_2_LastWordsNameTheHost) {
  EXPECT_EQ(WithHost(reply::kTimeout, "mx.example"),
            "421 4.4.2 mx.example Error: timeout exceeded\r\n");
  EXPECT_EQ(WithHost(reply::kStartInput, "h"),
            "354 h End data with <CR><LF>.<CR><LF>\r\n");
  EXPECT_EQ(Greeting("mx.example", "tlspost"),
            "220 mx.example ESMTP tlspost\r\n");
  EXPECT_EQ(HeloReply("mx.example"), "250 mx.example\r\n");
}

TEST(Reply, Rfc2034_CodesAreLeftOutWhereNotOffered) {
  EXPECT_EQ(WithoutEnhancedCodes("250 2.0.0 Ok\r\n"), "250 Ok\r\n");
  EXPECT_EQ(WithoutEnhancedCodes("250 Ok\r\n"), "250 Ok\r\n");
  EXPECT_EQ(WithoutEnhancedCodes("550-5.1.1 No\r\n550 5.1.1 such user\r\n"),
            "550-No\r\n550 such user\r\n");
  EXPECT_EQ(WithoutEnhancedCodes("250 2.0.0\r\n"), "250 \r\n");
  EXPECT_EQ(WithoutEnhancedCodes("250 2.0.0"), "250 ");
  EXPECT_EQ(WithoutEnhancedCodes(""), "");
}

TEST(ReplyOr, IsAValueOrARefusal) {
  const ReplyOr<int> value = 7;
  EXPECT_TRUE(value.ok());
  EXPECT_EQ(*value, 7);
  const ReplyOr<int> refusal = reply::kBadSize;
  EXPECT_FALSE(refusal.ok());
  EXPECT_EQ(refusal.refusal(), reply::kBadSize);
  EXPECT_DEATH(*refusal, "ok");
}

TEST(Reply, ALeaveTakingOfTheBackendIsNoneOfOurs) {
  EXPECT_EQ(WithoutLeaveTaking("421-4.7.0 421 a\r\n421 4.7.0 b\r\n", "454"),
            "454-4.7.0 421 a\r\n454 4.7.0 b\r\n");
  EXPECT_EQ(WithoutLeaveTaking("250 421\r\n", "451"), "250 421\r\n");
}

TEST(Reply, NamesTheClientBehindItsWords) {
  EXPECT_EQ(FromClient(std::string(reply::kTooMuchMail.text()), "192.0.2.1"),
            "450 4.7.1 Error: too much mail from 192.0.2.1\r\n");
  EXPECT_EQ(FromClient(WithHost(reply::kTooManyConnections, "mx.example"),
                       "2001:db8::1"),
            "421 4.7.0 mx.example Error: too many connections from "
            "2001:db8::1\r\n");
}

}  // namespace
}  // namespace tlspost::smtp
