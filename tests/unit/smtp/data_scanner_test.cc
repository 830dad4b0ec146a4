// The end of data, and only the end: every cut, every finder, and a slow
// reference that reads whole messages line by line.

#include "common/smtp/data_scanner.h"

#include <array>
#include <random>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

using namespace std::string_view_literals;

// What came of a message.
struct Outcome {
  std::string output = "";
  bool end = false;
  std::string unread = "";  // behind the end
  bool bare_cr = false, bare_lf = false, nul = false;
  uint64_t octets = 0;
  friend bool operator==(const Outcome&, const Outcome&) = default;
};

std::ostream& operator<<(std::ostream& out, const Outcome& outcome) {
  return out << testing::PrintToString(outcome.output)
             << (outcome.end ? " end" : " open")
             << " unread=" << testing::PrintToString(outcome.unread)
             << " cr=" << outcome.bare_cr << " lf=" << outcome.bare_lf
             << " nul=" << outcome.nul << " octets=" << outcome.octets;
}

Outcome Play(const std::vector<std::string_view>& chunks,
             BareNewline policy = BareNewline::kNormalize,
             FindIrregularFunction find = BestFindIrregular()) {
  DataScanner scanner(policy, find);
  Outcome outcome;
  std::string scratch;
  for (std::string_view chunk : chunks) {
    int calls = 0;
    while (!chunk.empty() && !scanner.ended()) {
      const auto result = scanner.Scan(chunk, scratch);
      EXPECT_LE(++calls, 3);
      EXPECT_LE(result.output.size(), 2 * chunk.size() + 1);
      EXPECT_LE(result.consumed, chunk.size());
      outcome.output += result.output;
      chunk.remove_prefix(result.consumed);
      EXPECT_EQ(result.end, scanner.ended());
    }
    outcome.unread += chunk;
  }
  outcome.end = scanner.ended();
  outcome.bare_cr = scanner.violations().bare_cr;
  outcome.bare_lf = scanner.violations().bare_lf;
  outcome.nul = scanner.violations().nul;
  outcome.octets = scanner.message_octets();
  return outcome;
}

// What should come of it, by reading line by line. Each line ends in CRLF or a
// bare LF; what is not ended stays open, with a last CR held back.
Outcome Reference(std::string_view input) {
  Outcome outcome;
  bool behind_crlf = true;
  const auto repaired = [&](std::string_view line) {
    std::string text;
    for (const char c : line) {
      if (c == '\r') outcome.bare_cr = true;
      if (c == '\0') outcome.nul = true;
      text += c == '\r' || c == '\0' ? ' ' : c;
    }
    return text;
  };
  while (!input.empty()) {
    const size_t line_feed = input.find('\n');
    if (line_feed == std::string_view::npos) {
      if (input.front() == '.') --outcome.octets;
      outcome.octets += input.size();
      if (input.back() == '\r') input.remove_suffix(1);
      outcome.output += repaired(input);
      return outcome;
    }
    std::string_view line = input.substr(0, line_feed);
    input.remove_prefix(line_feed + 1);
    const bool crlf = !line.empty() && line.back() == '\r';
    if (crlf) line.remove_suffix(1);
    if (!crlf) outcome.bare_lf = true;
    if (line == "." && crlf && behind_crlf) {
      outcome.output += ".\r\n";
      outcome.end = true;
      outcome.unread = input;
      return outcome;
    }
    outcome.octets +=
        line.size() + (crlf ? 2 : 1) - (line.substr(0, 1) == "." ? 1 : 0);
    outcome.output += line == "." ? ".." : repaired(line);
    outcome.output += "\r\n";
    behind_crlf = crlf;
  }
  return outcome;
}

// The promise to the backend, whatever came in (design promise 4).
void ExpectSafe(const Outcome& outcome) {
  const std::string stream = "\r\n" + outcome.output;
  const size_t first = stream.find("\r\n.\r\n");
  if (outcome.end) {
    EXPECT_EQ(first, stream.size() - 5);
  } else {
    EXPECT_EQ(first, std::string::npos);
  }
  EXPECT_EQ(stream.find('\0'), std::string::npos);
  for (size_t i = 0; i < stream.size(); ++i) {
    if (stream[i] == '\n') {
      EXPECT_EQ(stream[i - 1], '\r');
    }
    if (stream[i] == '\r') {
      EXPECT_EQ(stream[i + 1], '\n');
    }
  }
}

void ExpectHoweverCut(std::string_view input, const Outcome& expected) {
  ASSERT_EQ(Play({input}), expected);
  ExpectSafe(expected);
  std::vector<std::string_view> octets;
  for (size_t i = 0; i < input.size(); ++i)
    octets.push_back(input.substr(i, 1));
  ASSERT_EQ(Play(octets), expected) << "octet by octet";
  for (size_t a = 0; a <= input.size(); ++a) {
    for (size_t b = a; b <= input.size(); ++b) {
      ASSERT_EQ(
          Play({input.substr(0, a), input.substr(a, b - a), input.substr(b)}),
          expected)
          << "replay with cuts " << a << ", " << b;
    }
  }
}

TEST(DataScanner, Rfc5321_4_1_1_4_OnlyCrLfDotCrLfEnds) {
  ExpectHoweverCut("Subject: x\r\n\r\nbody\r\n.\r\nQUIT\r\n",
                   {.output = "Subject: x\r\n\r\nbody\r\n.\r\n",
                    .end = true,
                    .unread = "QUIT\r\n",
                    .octets = 20});
}

TEST(DataScanner, Rfc5321_4_1_1_4_TheLineEndOfDataCountsForTheFirstDot) {
  ExpectHoweverCut(".\r\nRSET\r\n",
                   {.output = ".\r\n", .end = true, .unread = "RSET\r\n"});
}

// Edge 72.
TEST(DataScanner, Rfc5321_4_5_2_StuffedDotsPassAsTheyAre) {
  ExpectHoweverCut(
      "..\r\n...a\r\n.b\r\n..\r\n.\r\n",
      {.output = "..\r\n...a\r\n.b\r\n..\r\n.\r\n", .end = true, .octets = 14});
}

// Edge 73, each with the true end behind it.
TEST(DataScanner, Edge73_NothingElseEndsAMessage) {
  struct {
    std::string_view input;
    std::string_view output;
  } const cases[] = {
      {"a\n.\nb", "a\r\n..\r\nb"},
      {"a\n.\r\nb", "a\r\n..\r\nb"},
      {"a\r\n.\nb", "a\r\n..\r\nb"},
      {"a\r.\rb", "a . b"},
      {"a\r\n.\rb", "a\r\n. b"},
      {"a\r.\r\nb", "a .\r\nb"},
      {"a\r\n\0.\r\nb"sv, "a\r\n .\r\nb"},
      {"a\r\n.\0\r\nb"sv, "a\r\n. \r\nb"},
      {"a\r\n.\r\0\nb"sv, "a\r\n.  \r\nb"},
      {"a\r\0\n.\r\nb"sv, "a  \r\n..\r\nb"},
      {"a\r\r\n.\r\r\nb", "a \r\n. \r\nb"},
      {"a\n\r.\n\rb", "a\r\n .\r\n b"},
      {".\nb", "..\r\nb"},
      {"\n.\r\nb", "\r\n..\r\nb"},
      {"\n.\nb", "\r\n..\r\nb"},
      {"a\n.x\nb", "a\r\n.x\r\nb"},
      {"a\n..\r\nb", "a\r\n..\r\nb"},
  };
  for (const auto& test : cases) {
    SCOPED_TRACE(testing::PrintToString(test.input));
    const std::string input = std::string(test.input) + "\r\n.\r\nQUIT\r\n";
    const Outcome expected = Reference(input);
    EXPECT_EQ(expected.output, std::string(test.output) + "\r\n.\r\n");
    EXPECT_EQ(expected.unread, "QUIT\r\n");
    ExpectHoweverCut(input, expected);
  }
}

TEST(DataScanner, Edge73_ALoneDotBehindALfMakesTheNextLineStartTrue) {
  // LF . CRLF is a line; the CRLF that ends it begins the true end.
  ExpectHoweverCut("a\n.\r\n.\r\nx", {.output = "a\r\n..\r\n.\r\n",
                                      .end = true,
                                      .unread = "x",
                                      .bare_lf = true,
                                      .octets = 4});
}

TEST(DataScanner, ACrAtTheEndIsHeldBack) {
  const Outcome open = Play({"abc\r"});
  EXPECT_EQ(open.output, "abc");
  EXPECT_FALSE(open.end);
  EXPECT_EQ(Play({"abc\r", "\n"}).output, "abc\r\n");
  EXPECT_EQ(Play({"abc\r", "d"}).output, "abc d");
}

TEST(DataScanner, CleanTextIsNotCopied) {
  const std::string input = "one\r\n..two\r\nthree\r\n.\r\nNOOP\r\n";
  DataScanner scanner(BareNewline::kNormalize);
  std::string scratch;
  const auto result = scanner.Scan(input, scratch);
  EXPECT_EQ(result.output.data(), input.data());
  EXPECT_EQ(result.output.size(), input.size() - 6);
  EXPECT_TRUE(result.end);
  EXPECT_EQ(scratch.capacity(), std::string().capacity());
}

TEST(DataScanner, RejectPassesNothingMoreAndFindsTheEnd) {
  const std::string_view input = "good\r\nbad\nmore\r\n.\r\nQUIT\r\n";
  for (size_t cut = 0; cut <= input.size(); ++cut) {
    const Outcome outcome =
        Play({input.substr(0, cut), input.substr(cut)}, BareNewline::kReject);
    EXPECT_TRUE(outcome.end) << "replay with cut " << cut;
    EXPECT_EQ(outcome.unread, "QUIT\r\n") << "replay with cut " << cut;
    EXPECT_TRUE(outcome.bare_lf);
    EXPECT_TRUE("good\r\nbad"sv.starts_with(outcome.output)) << outcome;
  }
  DataScanner scanner(BareNewline::kReject);
  std::string scratch;
  scanner.Scan("a\r\n.\r"sv, scratch);
  EXPECT_FALSE(scanner.refused());
  scanner.Scan("x"sv, scratch);
  EXPECT_TRUE(scanner.refused());
}

TEST(DataScannerDeathTest, NothingFollowsTheEnd) {
  DataScanner scanner(BareNewline::kNormalize);
  std::string scratch;
  EXPECT_TRUE(scanner.Scan(".\r\n", scratch).end);
  EXPECT_DEATH(scanner.Scan("x", scratch), "ended");
}

// All strings of the octets that matter, up to a length: no luck involved.
TEST(DataScanner, EveryShortMessageIsAsTheReferenceSays) {
  constexpr std::string_view kAlphabet("\r\n.\0a", 5);
  constexpr size_t kLength = 6;
  size_t count = 1;
  for (size_t i = 0; i < kLength; ++i) count *= kAlphabet.size();
  for (size_t number = 0; number < count; ++number) {
    std::string input;
    for (size_t i = 0, rest = number; i < kLength; ++i) {
      input += kAlphabet[rest % kAlphabet.size()];
      rest /= kAlphabet.size();
    }
    const Outcome expected = Reference(input);
    ExpectSafe(expected);
    const std::string_view view = input;
    for (size_t cut = 0; cut < kLength; ++cut) {
      ASSERT_EQ(Play({view.substr(0, cut), view.substr(cut)}), expected)
          << "replay with number " << number << " cut " << cut << ": "
          << testing::PrintToString(input);
    }
  }
}

// Long messages, for the vectors: mostly clean, cut anywhere.
TEST(DataScanner, RandomMessagesWithEveryFinder) {
  std::vector<FindIrregularFunction> finders = {FindIrregularPortable};
  if (FindIrregularBy16() != nullptr) finders.push_back(FindIrregularBy16());
  if (FindIrregularBy32() != nullptr) finders.push_back(FindIrregularBy32());
  constexpr std::array kPieces = {"\n"sv,      "\r"sv,         "\0"sv,
                                  "."sv,       "\r\n"sv,       "\r\n."sv,
                                  "\n."sv,     "\r\n..\r\n"sv, "\n.\n"sv,
                                  "\r\n.\n"sv, "\n.\r\n"sv,    "\r\n.\r"sv};
  for (uint32_t seed = 1; seed <= 6000; ++seed) {
    std::mt19937 random(seed);
    std::string input;
    const size_t trouble = 1 + random() % 12;
    for (size_t i = 0; i < trouble; ++i) {
      input.append(random() % 90, 'x');
      input +=
          random() % 3 == 0 ? kPieces[random() % kPieces.size()] : "\r\n"sv;
    }
    input += "\r\n.\r\nQUIT";
    const Outcome expected = Reference(input);
    ExpectSafe(expected);
    std::vector<std::string_view> chunks;
    for (std::string_view rest = input; !rest.empty();) {
      chunks.push_back(rest.substr(0, 1 + random() % 100));
      rest.remove_prefix(chunks.back().size());
    }
    for (const FindIrregularFunction find : finders) {
      ASSERT_EQ(Play(chunks, BareNewline::kNormalize, find), expected)
          << "replay with seed " << seed;
      ASSERT_EQ(Play({input}, BareNewline::kNormalize, find), expected)
          << "replay with seed " << seed << ", one chunk";
    }
  }
}

}  // namespace
}  // namespace tlspost::smtp
