// Command lines cut at every place, and the memory they may cost.

#include "common/smtp/line_buffer.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

using Kind = LineBuffer::Kind;

constexpr size_t kLimit = 10;

// Feeds `chunks`; a line is noted as it is, one too long as "!" and what is
// left of it.
std::vector<std::string> Feed(const std::vector<std::string_view>& chunks,
                              size_t limit = kLimit) {
  LineBuffer buffer(limit);
  std::vector<std::string> seen;
  for (std::string_view chunk : chunks) {
    while (true) {
      const auto result = buffer.Next(chunk);
      chunk.remove_prefix(result.consumed);
      if (result.kind == Kind::kNeedMore) break;
      seen.emplace_back(result.kind == Kind::kLine ? "" : "!");
      seen.back() += result.line;
    }
    EXPECT_TRUE(chunk.empty());
  }
  return seen;
}

void ExpectSameHoweverCut(std::string_view input,
                          const std::vector<std::string>& expected) {
  EXPECT_EQ(Feed({input}), expected);
  std::vector<std::string_view> octets;
  for (size_t i = 0; i < input.size(); ++i)
    octets.push_back(input.substr(i, 1));
  EXPECT_EQ(Feed(octets), expected);
  for (size_t a = 0; a <= input.size(); ++a) {
    for (size_t b = a; b <= input.size(); ++b) {
      EXPECT_EQ(
          Feed({input.substr(0, a), input.substr(a, b - a), input.substr(b)}),
          expected)
          << "replay with cuts " << a << ", " << b;
    }
  }
}

TEST(LineBuffer, Rfc5321_2_3_8_LinesEndInCrLfOrForNcInLf) {
  ExpectSameHoweverCut("EHLO a\r\nRSET\n\r\n\nQUIT\r\nrest",
                       {"EHLO a", "RSET", "", "", "QUIT"});
}

TEST(LineBuffer, OnlyOneCrBelongsToTheLineEnd) {
  ExpectSameHoweverCut("a\rb\r\r\n\r", {"a\rb\r"});
}

// Edge 60, at the limit and around it.
TEST(LineBuffer, Edge60_TooLongIsSkippedToItsLfAndSaidOnce) {
  ExpectSameHoweverCut("0123456789\r\n0123456789\n",
                       {"0123456789", "0123456789"});
  ExpectSameHoweverCut("0123456789x\r\nRSET\r\n", {"!", "RSET"});
  ExpectSameHoweverCut("0123456789x\nRSET\r\n", {"!", "RSET"});
  ExpectSameHoweverCut("0123456789xyz0123456789xyz\r\nNOOP\r\n", {"!", "NOOP"});
  ExpectSameHoweverCut("0123456789\r\r\nNOOP\r\n", {"!", "NOOP"});
  ExpectSameHoweverCut("0123456789xyz0123456789xyz", {});
}

TEST(LineBuffer, AWholeLineIsAViewIntoTheChunk) {
  const std::string chunk = "EHLO a\r\nDATA\r\nmessage";
  LineBuffer buffer;
  const auto first = buffer.Next(chunk);
  EXPECT_EQ(first.line.data(), chunk.data());
  EXPECT_EQ(first.consumed, 8u);
  const auto second = buffer.Next(std::string_view(chunk).substr(8));
  EXPECT_EQ(second.line.data(), chunk.data() + 8);
  // What lies behind DATA is the owner's, untouched.
  EXPECT_EQ(chunk.substr(8 + second.consumed), "message");
  EXPECT_FALSE(buffer.in_line());
}

TEST(LineBuffer, ACutLineLivesUntilTheNextCall) {
  LineBuffer buffer;
  EXPECT_EQ(buffer.Next("EH").kind, Kind::kNeedMore);
  EXPECT_TRUE(buffer.in_line());
  const auto result = buffer.Next("LO a\r\nQUIT\r\n");
  EXPECT_EQ(result.line, "EHLO a");
  EXPECT_EQ(result.consumed, 6u);
  EXPECT_FALSE(buffer.in_line());
  EXPECT_EQ(buffer.Next("QUIT\r\n").line, "QUIT");
}

// CVE-2011-0411: what stood before TLS is gone.
TEST(LineBuffer, Rfc3207_4_2_ClearForgetsTheStartOfALine) {
  LineBuffer buffer(kLimit);
  EXPECT_EQ(buffer.Next("RSE").kind, Kind::kNeedMore);
  buffer.Clear();
  EXPECT_FALSE(buffer.in_line());
  EXPECT_EQ(buffer.Next("QUIT\r\n").line, "QUIT");
  EXPECT_EQ(buffer.Next(std::string(50, 'x')).kind, Kind::kNeedMore);
  EXPECT_TRUE(buffer.in_line());
  buffer.Clear();
  EXPECT_EQ(buffer.Next("QUIT\r\n").line, "QUIT");
}

TEST(LineBuffer, MemoryComesWithACutLineAndGoesWithIt) {
  LineBuffer buffer;
  EXPECT_EQ(buffer.heap_octets(), 0u);
  EXPECT_EQ(buffer.Next("EHLO whole.example.com\r\n").kind, Kind::kLine);
  EXPECT_EQ(buffer.heap_octets(), 0u);
  EXPECT_EQ(buffer.Next("EHLO quite.long.example.com").kind, Kind::kNeedMore);
  EXPECT_GT(buffer.heap_octets(), 0u);
  EXPECT_EQ(buffer.Next("\r\n").line, "EHLO quite.long.example.com");
  EXPECT_EQ(buffer.Next("").kind, Kind::kNeedMore);
  EXPECT_EQ(buffer.heap_octets(), 0u);
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(buffer.Next(std::string(100, 'x')).kind, Kind::kNeedMore);
    EXPECT_LE(buffer.heap_octets(),
              kDefaultLineLengthLimit + 2 + sizeof(std::string));
  }
  EXPECT_EQ(buffer.heap_octets(), 0u);  // too long by now, and skipped
}

TEST(LineBuffer, LimitCanChange) {
  LineBuffer buffer(kLimit);
  buffer.set_limit(kAuthLineLengthLimit);
  const std::string line(kAuthLineLengthLimit, 'A');
  EXPECT_EQ(buffer.Next(line + "\r\n").line, line);
  buffer.set_limit(kLimit);
  EXPECT_EQ(buffer.Next(line + "\r\n").kind, Kind::kTooLong);
}

// However it is cut: in the verb, behind it, at the limit of other lines.
TEST(LineBuffer, Rfc4954_4_5_AnAuthCommandMayBeLonger) {
  for (const char* verb : {"AUTH ", "auth "}) {
    std::string line = verb + std::string("PLAIN ");
    line.append(kAuthLineLengthLimit - line.size(), 'A');
    const std::string too_long = line + "A";
    for (const size_t cut :
         {size_t{0}, size_t{1}, size_t{4}, size_t{5}, kLimit, kLimit + 1,
          size_t{5000}, kAuthLineLengthLimit - 1}) {
      const std::string input = line + "\r\n";
      EXPECT_EQ(Feed({input.substr(0, cut), input.substr(cut)}),
                std::vector<std::string>({line}))
          << cut;
      const std::string longer = too_long + "\r\nNOOP\r\n";
      EXPECT_EQ(Feed({longer.substr(0, cut), longer.substr(cut)}),
                std::vector<std::string>({"!", "NOOP"}))
          << cut;
    }
  }
  for (const char* verb : {"AUTHX ", "AUT ", " AUTH ", "AUTH"}) {
    EXPECT_EQ(Feed({verb, std::string(kLimit, 'A') + "\r\n"}),
              std::vector<std::string>({"!"}));
  }
  // A greater limit is not made smaller.
  const std::string longest = "AUTH " + std::string(20000, 'A');
  EXPECT_EQ(Feed({longest + "\r\n"}, 30000),
            std::vector<std::string>({longest}));
}

// What follows one that is too long is a chunk of a size that nobody knows.
TEST(LineBuffer, E095ABdatThatIsTooLongIsNotForgotten) {
  for (const char* line : {"BDAT 1234567", "bdat 12 LAST ", "  \tBDAT 12 LAST",
                           "\x01 BD\x02"
                           "AT 5 LAST",
                           "           BDAT"}) {
    ExpectSameHoweverCut(std::string(line) + "\r\nQUIT\r\n", {"!BDAT", "QUIT"});
  }
  for (const char* line : {"BDA 12345678", "XBDAT 123456", "B DAT 123456"}) {
    ExpectSameHoweverCut(std::string(line) + "\r\nQUIT\r\n", {"!", "QUIT"});
  }
}

TEST(LineBuffer, DefaultLimit) {
  const std::string line(kDefaultLineLengthLimit, 'x');
  EXPECT_EQ(Feed({line + "\r\n"}, kDefaultLineLengthLimit),
            std::vector<std::string>({line}));
  EXPECT_EQ(Feed({line, "\r", "\n"}, kDefaultLineLengthLimit),
            std::vector<std::string>({line}));
  EXPECT_EQ(Feed({line, "x", "\n"}, kDefaultLineLengthLimit),
            std::vector<std::string>({"!"}));
}

}  // namespace
}  // namespace tlspost::smtp
