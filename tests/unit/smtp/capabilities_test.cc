// EHLO replies, the backend's read and ours written.

#include "common/smtp/capabilities.h"

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

constexpr std::string_view kPostfix =
    "250-mx.example.com\r\n250-PIPELINING\r\n250-SIZE 10240000\r\n250-VRFY\r\n"
    "250-ETRN\r\n250-STARTTLS\r\n250-AUTH PLAIN LOGIN\r\n"
    "250-XCLIENT NAME ADDR PROTO HELO\r\n250-XFORWARD NAME SOURCE\r\n"
    "250-ENHANCEDSTATUSCODES\r\n250-8BITMIME\r\n250-DSN\r\n250-SMTPUTF8\r\n"
    "250-BINARYMIME\r\n250-HELP\r\n250 CHUNKING\r\n";

TEST(Capabilities, Rfc5321_4_1_1_1_ReadsWhatPostfixOffers) {
  const EhloCapabilities found = ParseEhlo(kPostfix);
  EhloCapabilities expected;
  expected.pipelining = expected.eight_bit_mime = expected.smtputf8 = true;
  expected.dsn = expected.enhanced_status_codes = expected.chunking = true;
  expected.binary_mime = expected.starttls = expected.vrfy = true;
  expected.etrn = expected.help = true;
  expected.size = 10240000;
  expected.auth = "AUTH PLAIN LOGIN";
  expected.xclient = AttributeSet::FromList("HELO PROTO ADDR NAME");
  expected.xforward = AttributeSet::FromList("NAME SOURCE");
  EXPECT_EQ(found, expected);
}

TEST(Capabilities, CaseAndLineEndsDoNotMatterUnknownWordsNeither) {
  EhloCapabilities expected;
  expected.size = 0;
  expected.dsn = true;
  EXPECT_EQ(ParseEhlo("250-h\n250-size\n250-FUTURERELEASE 1 2\n250 dsn"),
            expected);
  // A host may be called like an extension.
  EXPECT_EQ(ParseEhlo("250-PIPELINING\r\n250 DSN\r\n").pipelining, false);
  EXPECT_EQ(ParseEhlo("250 mx\r\n"), EhloCapabilities());
  EXPECT_EQ(ParseEhlo(""), EhloCapabilities());
  EXPECT_EQ(ParseEhlo("250-h\r\n250 SIZE x\r\n").size, 0u);
}

TEST(Capabilities, OffersTheBackendsListCutToOurs) {
  EXPECT_EQ(FormatEhloReply("me.example", ParseEhlo(kPostfix), true, 0),
            "250-me.example\r\n250-SIZE 10240000\r\n250-STARTTLS\r\n"
            "250-AUTH PLAIN LOGIN\r\n250-PIPELINING\r\n250-VRFY\r\n"
            "250-ENHANCEDSTATUSCODES\r\n"
            "250-8BITMIME\r\n250-SMTPUTF8\r\n250 DSN\r\n");
}

TEST(Capabilities, Rfc3207_4_2_NoStartTlsWhenNotOurs) {
  EXPECT_EQ(
      FormatEhloReply("h", ParseEhlo(kPostfix), false, 0).find("STARTTLS"),
      std::string::npos);
  EXPECT_EQ(FormatEhloReply("h", EhloCapabilities(), false, 5), "250 h\r\n");
  EXPECT_EQ(FormatEhloReply("h", EhloCapabilities(), true, 5),
            "250-h\r\n250 STARTTLS\r\n");
}

TEST(Capabilities, Rfc1870_4_SizeIsTheSmallerLimit) {
  EXPECT_EQ(SmallerLimit(0, 0), 0u);
  EXPECT_EQ(SmallerLimit(0, 7), 7u);
  EXPECT_EQ(SmallerLimit(7, 0), 7u);
  EXPECT_EQ(SmallerLimit(7, 5), 5u);
  EhloCapabilities backend;
  backend.size = 100;
  EXPECT_EQ(FormatEhloReply("h", backend, false, 50),
            "250-h\r\n250 SIZE 50\r\n");
  backend.size = 0;
  EXPECT_EQ(FormatEhloReply("h", backend, false, 0), "250-h\r\n250 SIZE\r\n");
}

// Edge 7.
TEST(Capabilities, WithoutABackendOnlyWhatWeDoOurselves) {
  EXPECT_EQ(FormatEhloReply("h", MinimumCapabilities(), false, 50),
            "250-h\r\n250-SIZE 50\r\n250 PIPELINING\r\n");
}

}  // namespace
}  // namespace tlspost::smtp
