// MAIL and RCPT arguments, taken apart, judged and written anew.

#include "common/smtp/envelope.h"

#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

// The address found, or the refusal's text.
std::string MailPath(std::string_view argument) {
  const auto mail = ParseMail(argument);
  return std::string(mail.ok() ? mail->path : mail.refusal().text());
}

EhloCapabilities Everything() {
  EhloCapabilities all;
  all.size = 1000;
  all.eight_bit_mime = all.smtputf8 = all.dsn = true;
  all.chunking = all.binary_mime = true;
  return all;
}

TEST(Envelope, Rfc5321_4_1_2_PathsPassAsTheyAre) {
  const std::pair<std::string_view, std::string> cases[] = {
      {"FROM:<a@b.example>", "a@b.example"},
      {"from: <a@b>", "a@b"},
      {"FROM:a@b", "a@b"},
      {"FROM:  a@b  ", "a@b"},
      {"FROM:<>", ""},
      {"FROM:<> RET=FULL", ""},
      {"FROM:<@x.example,@y.example:a@b>", "@x.example,@y.example:a@b"},
      {"FROM:<\"a > b\"@c>", "\"a > b\"@c"},
      {"FROM:<\"a\\\" > b\"@c> SIZE=1", "\"a\\\" > b\"@c"},
      {"FROM:<a\\>b@c>", "a\\>b@c"},
      {"FROM:\"a b\"@c SIZE=1", "\"a b\"@c"},
      {"FROM:<a@[IPv6:2001:db8::1]>", "a@[IPv6:2001:db8::1]"},
      {"FROM:<caf\xc3\xa9@b> SMTPUTF8", "caf\xc3\xa9@b"},
  };
  for (const auto& [argument, path] : cases) {
    EXPECT_EQ(MailPath(argument), path) << argument;
  }
}

TEST(Envelope, NoAddressIsASyntaxError) {
  for (const char* argument :
       {"", "FROM", "FROM:", "FROM: ", "TO:<a@b>", "<a@b>", "FRO:<a@b>"}) {
    EXPECT_EQ(MailPath(argument), "501 5.5.4 Syntax: MAIL FROM:<address>\r\n")
        << argument;
  }
  EXPECT_EQ(ParseRcpt("FROM:<a>").refusal().text(),
            "501 5.5.4 Syntax: RCPT TO:<address>\r\n");
}

TEST(Envelope, AnAddressWithoutItsEndIsRefused) {
  for (const char* argument :
       {"FROM:<a@b", "FROM:<a@b>x", "FROM:<a b@c>", "FROM:<\"a@b>", "FROM:a>",
        "FROM:<<a@b>>", "FROM:a\\", "FROM:\"a b@c", "FROM:a@b<c>"}) {
    EXPECT_EQ(MailPath(argument), "501 5.1.7 Bad sender address syntax\r\n")
        << argument;
  }
  for (const char* argument : {"TO:<a@b", "TO:<>", "TO:<> NOTIFY=NEVER"}) {
    EXPECT_EQ(ParseRcpt(argument).refusal(), reply::kBadRecipient) << argument;
  }
}

TEST(Envelope, MailParametersAreNoted) {
  const auto mail = ParseMail(
      "FROM:<a@b> size=42 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=x AUTH=<>");
  ASSERT_TRUE(mail.ok());
  EXPECT_EQ(mail->size, 42u);
  EXPECT_TRUE(mail->body_8bit);
  EXPECT_FALSE(mail->body_7bit);
  EXPECT_TRUE(mail->smtputf8);
  EXPECT_TRUE(mail->dsn);
  EXPECT_EQ(mail->auth, "<>");
  EXPECT_EQ(mail->parameters,
            "size=42 BODY=8bitmime SMTPUTF8 RET=HDRS ENVID=x AUTH=<>");
  const auto plain = ParseMail("FROM:<a@b>");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->size, std::nullopt);
  EXPECT_FALSE(plain->dsn);
}

TEST(Envelope, BadParametersAreNamed) {
  const std::pair<std::string_view, Reply> cases[] = {
      {"SIZE=", reply::kBadSize},
      {"SIZE", reply::kBadSize},
      {"SIZE=-1", reply::kBadSize},
      {"SIZE=1k", reply::kBadSize},
      {"SIZE=99999999999999999999", reply::kBadSize},
      {"BODY=16BIT", reply::kUnsupportedOption},
      {"BODY", reply::kUnsupportedOption},
      {"SMTPUTF8=1", reply::kUnsupportedOption},
      {"RET=SOME", reply::kBadRet},
      {"ENVID=", reply::kBadEnvid},
      {"AUTH=", reply::kSyntaxMail},
      {"FOO=bar", reply::kUnsupportedOption},  // edge 50
      {"SIZE=1 FOO", reply::kUnsupportedOption},
  };
  for (const auto& [parameter, refusal] : cases) {
    const auto mail = ParseMail("FROM:<a@b> " + std::string(parameter));
    ASSERT_FALSE(mail.ok()) << parameter;
    EXPECT_EQ(mail.refusal().text(), refusal.text()) << parameter;
  }
}

TEST(Envelope, Rfc3461_4_RcptParameters) {
  for (const char* good : {"NOTIFY=NEVER", "NOTIFY=success,FAILURE,delay",
                           "ORCPT=rfc822;a@b", "NOTIFY=DELAY ORCPT=utf-8;x"}) {
    const auto rcpt = ParseRcpt("TO:<a@b> " + std::string(good));
    ASSERT_TRUE(rcpt.ok()) << good;
    EXPECT_TRUE(rcpt->dsn);
  }
  for (const char* bad : {"NOTIFY=", "NOTIFY=NEVER,DELAY", "NOTIFY=DELAY,"}) {
    EXPECT_EQ(ParseRcpt("TO:<a@b> " + std::string(bad)).refusal(),
              reply::kBadNotify)
        << bad;
  }
  for (const char* bad :
       {"ORCPT", "ORCPT=", "ORCPT=a", "ORCPT=;a", "ORCPT=rfc822;"}) {
    EXPECT_EQ(ParseRcpt("TO:<a@b> " + std::string(bad)).refusal(),
              reply::kBadOrcpt)
        << bad;
  }
  EXPECT_EQ(ParseRcpt("TO:<a@b> X=1").refusal(), reply::kUnsupportedOption);
  const auto plain = ParseRcpt("TO: <a@b>");
  ASSERT_TRUE(plain.ok());
  EXPECT_FALSE(plain->dsn);
}

std::string_view MailRefusal(std::string_view parameters,
                             const EhloCapabilities& backend, uint64_t limit) {
  const std::string argument = "FROM:<a@b> " + std::string(parameters);
  const auto mail = ParseMail(argument);
  EXPECT_TRUE(mail.ok());
  const auto refusal = RefuseMail(*mail, backend, limit);
  return refusal.has_value() ? refusal->text() : "";
}

TEST(Envelope, Edges51And53And54_NothingTheBackendCannotDo) {
  for (const char* parameter : {"BODY=8BITMIME", "BODY=7BIT", "BODY=binarymime",
                                "SMTPUTF8", "RET=FULL", "ENVID=x", "SIZE=1"}) {
    EXPECT_EQ(MailRefusal(parameter, EhloCapabilities(), 0),
              reply::kUnsupportedOption.text())
        << parameter;
    EXPECT_EQ(MailRefusal(parameter, Everything(), 0), "") << parameter;
  }
  const auto rcpt = ParseRcpt("TO:<a@b> NOTIFY=NEVER");
  ASSERT_TRUE(rcpt.ok());
  EXPECT_EQ(RefuseRcpt(*rcpt, EhloCapabilities(), false),
            reply::kUnsupportedOption);
  EXPECT_EQ(RefuseRcpt(*rcpt, Everything(), false), std::nullopt);
}

// RFC 5321 section 4.2.2: 455. It may come again.
TEST(Envelope, WhatWasOfferedIsRefusedForNow) {
  const auto mail = ParseMail("FROM:<a@b> SMTPUTF8 RET=FULL");
  ASSERT_TRUE(mail.ok());
  EhloCapabilities backend = Everything();
  backend.smtputf8 = false;
  EXPECT_EQ(RefuseMail(*mail, backend, 0, kSmtpUtf8Option),
            reply::kOptionNotNow);
  EXPECT_EQ(RefuseMail(*mail, backend, 0, kDsnOption),
            reply::kUnsupportedOption);
  // One of two was offered: for good.
  EXPECT_EQ(RefuseMail(*mail, EhloCapabilities(), 0, kDsnOption),
            reply::kUnsupportedOption);
  const auto rcpt = ParseRcpt("TO:<a@b> NOTIFY=NEVER");
  ASSERT_TRUE(rcpt.ok());
  EXPECT_EQ(RefuseRcpt(*rcpt, EhloCapabilities(), false, kDsnOption),
            reply::kOptionNotNow);
}

TEST(Envelope, Rfc1870_6_1_SizeAboveTheSmallerLimit) {
  EXPECT_EQ(MailRefusal("SIZE=1000", Everything(), 0), "");
  EXPECT_EQ(MailRefusal("SIZE=1001", Everything(), 0),
            reply::kSizeOverLimit.text());
  EXPECT_EQ(MailRefusal("SIZE=501", Everything(), 500),
            reply::kSizeOverLimit.text());
  EXPECT_EQ(MailRefusal("SIZE=0", Everything(), 500), "");
}

TEST(Envelope, Rfc6531_3_5_EightBitNeedsSmtpUtf8) {
  const auto mail = ParseMail("FROM:<caf\xc3\xa9@b>");
  ASSERT_TRUE(mail.ok());
  EXPECT_EQ(RefuseMail(*mail, Everything(), 0), reply::kMustDeclareSmtpUtf8);
  const auto rcpt = ParseRcpt("TO:<caf\xc3\xa9@b>");
  ASSERT_TRUE(rcpt.ok());
  EXPECT_EQ(RefuseRcpt(*rcpt, Everything(), false),
            reply::kMustDeclareSmtpUtf8);
  EXPECT_EQ(RefuseRcpt(*rcpt, Everything(), true), std::nullopt);
}

TEST(Envelope, Rfc4954_5_AuthIsKeptOnlyWhenVouchedFor) {
  const auto mail = ParseMail("FROM: a@b  SIZE=1\tauth=me  BODY=7BIT");
  ASSERT_TRUE(mail.ok());
  std::string line;
  AppendMailLine(*mail, false, line);
  EXPECT_EQ(line, "MAIL FROM:<a@b> SIZE=1 BODY=7BIT\r\n");
  AppendMailLine(*mail, true, line);
  EXPECT_EQ(line,
            "MAIL FROM:<a@b> SIZE=1 BODY=7BIT\r\n"
            "MAIL FROM:<a@b> SIZE=1 auth=me BODY=7BIT\r\n");
  const auto rcpt = ParseRcpt("TO: \"x y\"@b NOTIFY=NEVER");
  ASSERT_TRUE(rcpt.ok());
  line.clear();
  AppendRcptLine(*rcpt, line);
  EXPECT_EQ(line, "RCPT TO:<\"x y\"@b> NOTIFY=NEVER\r\n");
}

}  // namespace
}  // namespace tlspost::smtp
