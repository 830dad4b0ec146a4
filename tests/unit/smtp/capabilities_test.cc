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
            "250-8BITMIME\r\n250-SMTPUTF8\r\n250-DSN\r\n250-CHUNKING\r\n"
            "250 BINARYMIME\r\n");
}

TEST(Capabilities, Rfc3030_3_BinaryMimeNeedsChunking) {
  EXPECT_FALSE(ParseEhlo("250-h\r\n250 BINARYMIME\r\n").binary_mime);
  EhloCapabilities both = ParseEhlo("250-h\r\n250-CHUNKING\r\n250 BINARYMIME");
  EXPECT_TRUE(both.binary_mime);
  EXPECT_TRUE(Discard("chunking", both));
  EXPECT_EQ(both, EhloCapabilities());
}

TEST(Capabilities, Rfc9422_3_LimitsAreReadAndWritten) {
  const EhloCapabilities found = ParseEhlo(
      "250-h\r\n250 limits RCPTMAX=20 X mailmax=3 Y=Z RCPTDOMAINMAX=x\r\n");
  ASSERT_TRUE(found.limits.has_value());
  AnnouncedLimits expected;
  expected.recipients = 20;
  expected.mails = 3;
  EXPECT_EQ(*found.limits, expected);
  EXPECT_EQ(FormatEhloReply("h", found, false, 0),
            "250-h\r\n250 LIMITS MAILMAX=3 RCPTMAX=20\r\n");
  // A promise of nothing is none.
  EXPECT_EQ(FormatEhloReply("h", ParseEhlo("250-h\r\n250 LIMITS"), false, 0),
            "250 h\r\n");
}

TEST(Capabilities, DiscardTakesOffWhatClientsSeeAndKnowsNothingElse) {
  for (const char* word :
       {"PIPELINING", "SIZE", "VRFY", "AUTH", "enhancedstatuscodes", "8BITMIME",
        "SMTPUTF8", "DSN", "CHUNKING", "BINARYMIME"}) {
    EhloCapabilities capabilities = ParseEhlo(kPostfix);
    EXPECT_TRUE(Discard(word, capabilities)) << word;
    EXPECT_NE(capabilities, ParseEhlo(kPostfix)) << word;
  }
  for (const char* word : {"", "STARTTLS", "XCLIENT", "ETRN", "HELP", "DSN "}) {
    EhloCapabilities capabilities = ParseEhlo(kPostfix);
    EXPECT_FALSE(Discard(word, capabilities)) << word;
    EXPECT_EQ(capabilities, ParseEhlo(kPostfix)) << word;
  }
}

TEST(Capabilities, OptionsAreWhatMailMayAskFor) {
  EXPECT_EQ(OptionsOf(EhloCapabilities()), 0);
  EXPECT_EQ(OptionsOf(ParseEhlo("250-h\r\n250-SIZE\r\n250 DSN\r\n")),
            kSizeOption | kDsnOption);
  EXPECT_EQ(OptionsOf(ParseEhlo(kPostfix)), 63);
}

TEST(Capabilities, TheDifferenceNamesEachWord) {
  const EhloCapabilities before = ParseEhlo(kPostfix);
  EXPECT_EQ(Difference(before, before), "");
  const EhloCapabilities after = ParseEhlo(
      "250-h\r\n250-SIZE 5\r\n250-DSN\r\n250-AUTH PLAIN\r\n250 LIMITS X=1");
  EXPECT_EQ(Difference(before, after),
            "-PIPELINING -VRFY -ETRN -HELP -STARTTLS -ENHANCEDSTATUSCODES "
            "-8BITMIME -SMTPUTF8 -CHUNKING -BINARYMIME SIZE 5 \"AUTH PLAIN\" "
            "+LIMITS -XCLIENT -XFORWARD");
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

TEST(Capabilities, OfTwoServersCountsWhatBothOffer) {
  const EhloCapabilities all = ParseEhlo(kPostfix);
  EXPECT_EQ(CommonCapabilities(all, all), all);
  EXPECT_EQ(CommonCapabilities(all, EhloCapabilities()), EhloCapabilities());
  const EhloCapabilities few = ParseEhlo(
      "250-h\r\n250-SIZE\r\n250-DSN\r\n250-AUTH login CRAM-MD5\r\n"
      "250 XCLIENT ADDR PORT\r\n");
  EhloCapabilities expected;
  expected.size = 10240000;
  expected.dsn = true;
  expected.auth = "AUTH login";
  expected.xclient = AttributeSet::FromList("ADDR");
  EXPECT_EQ(CommonCapabilities(few, all), expected);
}

}  // namespace
}  // namespace tlspost::smtp
