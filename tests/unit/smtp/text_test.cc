// What counts as an octet to fear, and what is made of a peer's text.

#include "common/smtp/text.h"

#include <string>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

TEST(Text, OnOneLineHasNoControlsAndAllElse) {
  EXPECT_EQ(OnOneLine("a\tb\r\nc\x7f\x1b[1m ~"), "a?b??c??[1m ~");
  EXPECT_EQ(OnOneLine("gr\xc3\xbc\xc3\x9f"), "gr\xc3\xbc\xc3\x9f");
  EXPECT_EQ(OnOneLine(std::string_view("\0", 1)), "?");
}

TEST(Text, ParseNumberTakesTwentyDigitsThatFit) {
  EXPECT_EQ(ParseNumber("0"), 0u);
  EXPECT_EQ(ParseNumber("10240000"), 10240000u);
  EXPECT_EQ(ParseNumber("18446744073709551615"), 18446744073709551615u);
  EXPECT_EQ(ParseNumber("18446744073709551616"), std::nullopt);
  EXPECT_EQ(ParseNumber("000000000000000000001"), std::nullopt);
  for (const char* bad : {"", "-1", "+1", " 1", "1 ", "1x", "0x10"}) {
    EXPECT_EQ(ParseNumber(bad), std::nullopt) << bad;
  }
}

TEST(Text, TakeWordGoesThroughBlanks) {
  std::string_view text = "  one \t two  ";
  EXPECT_EQ(TakeWord(text), "one");
  EXPECT_EQ(TakeWord(text), "two");
  EXPECT_EQ(text, "");
  EXPECT_EQ(TakeWord(text), "");
}

TEST(Text, ControlOctetsAreAllButTab) {
  EXPECT_FALSE(HasControlOctets("MAIL\tFROM:<a@b>"));
  for (int octet = 0; octet < 256; ++octet) {
    const std::string line = std::string("NOOP ") + static_cast<char>(octet);
    const bool control = (octet < 32 && octet != '\t') || octet == 127;
    EXPECT_EQ(HasControlOctets(line), control) << octet;
    EXPECT_EQ(HasEightBit(line), octet > 127) << octet;
  }
}

TEST(Text, SanitizedTextCannotEndAClause) {
  EXPECT_EQ(SanitizeForHeader("a(b)c\"d\\e\r\n\tf\xc3\xa9 g"),
            "a?b?c?d?e???f?? g");
  EXPECT_EQ(SanitizeForDomain("a b;c,d<e>f@g[IPv6:::1]"),
            "a?b?c?d?e?f?g[IPv6:::1]");
  EXPECT_EQ(SanitizeForHeader(std::string("a\0b\x7f", 4)), "a?b?");
  EXPECT_EQ(SanitizeForHeader(std::string(1000, 'x')).size(),
            kMaxPeerTextOctets);
}

// Edge 6.
TEST(Text, Rfc5321_4_1_1_1_HelloNameIsPrintableAndBounded) {
  EXPECT_TRUE(ValidHelloName("mail.example.com"));
  EXPECT_TRUE(ValidHelloName("[IPv6:2001:db8::1]"));
  EXPECT_TRUE(ValidHelloName("My_PC with blanks"));
  EXPECT_TRUE(ValidHelloName(std::string(255, 'a')));
  EXPECT_FALSE(ValidHelloName(""));
  EXPECT_FALSE(ValidHelloName(std::string(256, 'a')));
  EXPECT_FALSE(ValidHelloName("a\tb"));
  EXPECT_FALSE(ValidHelloName("caf\xc3\xa9"));
  EXPECT_FALSE(ValidHelloName(std::string("a\0b", 3)));
}

// Edge 37.
TEST(Text, KnowsATlsClientHello) {
  EXPECT_TRUE(LooksLikeTlsHandshake("\x16\x03\x01\x02"));
  EXPECT_FALSE(LooksLikeTlsHandshake("\x16"));
  EXPECT_FALSE(LooksLikeTlsHandshake("EHLO x"));
}

TEST(Text, CaseIsAsciiOnly) {
  EXPECT_TRUE(EqualsIgnoreCase("StartTLS", "STARTTLS"));
  EXPECT_FALSE(EqualsIgnoreCase("STARTTL", "STARTTLS"));
  EXPECT_FALSE(EqualsIgnoreCase("\xe9", "\xc9"));
  EXPECT_TRUE(StartsWithIgnoreCase("from:<a>", "FROM:"));
  EXPECT_FALSE(StartsWithIgnoreCase("fro", "FROM:"));
  EXPECT_EQ(TrimBlanks(" \t a b \t"), "a b");
  EXPECT_EQ(TrimBlanks(" \t"), "");
}

}  // namespace
}  // namespace tlspost::smtp
