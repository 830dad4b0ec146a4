// The backend's replies, cut at every place.

#include "common/smtp/reply_parser.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

using Result = ReplyParser::Result;

struct Seen {
  std::vector<std::string> replies;  // each with its code and last line
  std::string error;
  friend bool operator==(const Seen&, const Seen&) = default;
};

// Feeds `chunks` as they come and notes every reply.
Seen Parse(const std::vector<std::string_view>& chunks) {
  ReplyParser parser;
  Seen seen;
  for (std::string_view chunk : chunks) {
    while (!chunk.empty()) {
      size_t consumed = 0;
      const Result result = parser.Parse(chunk, &consumed);
      chunk.remove_prefix(consumed);
      if (result == Result::kMalformed) {
        seen.error = std::string(parser.error());
        return seen;
      }
      if (result == Result::kNeedMore) {
        EXPECT_TRUE(chunk.empty());
        break;
      }
      EXPECT_FALSE(parser.in_reply());
      std::string noted = std::to_string(parser.code()) + "|";
      noted.append(parser.last_line()).append("|");
      noted.append(parser.enhanced_code()).append("|");
      seen.replies.push_back(noted + parser.TakeText());
    }
  }
  return seen;
}

void ExpectSeenHoweverCut(std::string_view input, const Seen& expected) {
  EXPECT_EQ(Parse({input}), expected);
  std::vector<std::string_view> octets;
  for (size_t i = 0; i < input.size(); ++i)
    octets.push_back(input.substr(i, 1));
  EXPECT_EQ(Parse(octets), expected);
  for (size_t a = 0; a <= input.size(); ++a) {
    for (size_t b = a; b <= input.size(); ++b) {
      EXPECT_EQ(
          Parse({input.substr(0, a), input.substr(a, b - a), input.substr(b)}),
          expected)
          << "replay with cuts " << a << ", " << b;
    }
  }
}

TEST(ReplyParser, Rfc5321_4_2_OneLineOrMany) {
  ExpectSeenHoweverCut(
      "250 2.1.0 Ok\r\n550-5.1.1 No\r\n550-\r\n550 5.1.1 user\r\n354\r\n",
      {{"250|250 2.1.0 Ok|2.1.0|250 2.1.0 Ok\r\n",
        "550|550 5.1.1 user|5.1.1|550-5.1.1 No\r\n550-\r\n550 5.1.1 user\r\n",
        "354|354||354\r\n"},
       ""});
}

TEST(ReplyParser, LineEndsBecomeCrLfAndNothingElseChanges) {
  ExpectSeenHoweverCut("250-a\n250-b\t\xc3\xa9  \r\n250 c\r\r\n220 \n",
                       {{"250|250 c||250-a\r\n250-b\t\xc3\xa9  \r\n250 c\r\n",
                         "220|220 ||220 \r\n"},
                        ""});
}

TEST(ReplyParser, WhatAClientMightTakeForALineEndIsASpace) {
  using namespace std::string_view_literals;
  ExpectSeenHoweverCut("250 a\rb\0c\r\n"sv,
                       {{"250|250 a b c||250 a b c\r\n"}, ""});
}

TEST(ReplyParser, MalformedRepliesAreNamed) {
  const std::string no_code = "reply does not begin with a code";
  for (const char* input : {"\r\n", "25\r\n", "x50 a\r\n", "150 a\r\n",
                            "650 a\r\n", "2x0 a\r\n", " 250 a\r\n"}) {
    ExpectSeenHoweverCut(input, {{}, no_code});
  }
  ExpectSeenHoweverCut("2500 a\r\n",
                       {{}, "no blank or hyphen after the reply code"});
  ExpectSeenHoweverCut("250-a\r\n251 b\r\n",
                       {{}, "reply lines with different codes"});
}

TEST(ReplyParser, StaysMalformedUntilReset) {
  ReplyParser parser;
  size_t consumed = 0;
  EXPECT_EQ(parser.Parse("bad\r\n", &consumed), Result::kMalformed);
  EXPECT_EQ(parser.Parse("250 Ok\r\n", &consumed), Result::kMalformed);
  EXPECT_EQ(consumed, 0u);
  parser.Reset();
  EXPECT_EQ(parser.Parse("250 Ok\r\n", &consumed), Result::kComplete);
  EXPECT_EQ(parser.code(), 250);
}

TEST(ReplyParser, CodeOutlivesTheText) {
  ReplyParser parser;
  size_t consumed = 0;
  ASSERT_EQ(parser.Parse("451 4.3.0 x\r\n250 Ok\r\n", &consumed),
            Result::kComplete);
  EXPECT_EQ(consumed, 13u);
  EXPECT_EQ(parser.TakeText(), "451 4.3.0 x\r\n");
  EXPECT_EQ(parser.code(), 451);
  EXPECT_EQ(parser.reply_class(), ReplyClass::kTransient);
  EXPECT_EQ(parser.text(), "");
}

TEST(ReplyParser, InReplyUntilTheLastLineEnds) {
  ReplyParser parser;
  size_t consumed = 0;
  EXPECT_FALSE(parser.in_reply());
  for (const char* part : {"2", "50-a\r\n", "250 b\r"}) {
    EXPECT_EQ(parser.Parse(part, &consumed), Result::kNeedMore);
    EXPECT_TRUE(parser.in_reply());
  }
  EXPECT_EQ(parser.Parse("\n", &consumed), Result::kComplete);
  EXPECT_FALSE(parser.in_reply());
}

TEST(ReplyParser, LineLimitHolds) {
  const std::string longest =
      "250 " + std::string(kMaxReplyLineOctets - 4, 'x');
  const std::string reply = longest + "\r\n";
  for (const size_t cut :
       {size_t{1}, size_t{2047}, size_t{2048}, size_t{2049}, reply.size()}) {
    const Seen seen = Parse({std::string_view(reply).substr(0, cut),
                             std::string_view(reply).substr(cut)});
    EXPECT_EQ(seen.error, "") << cut;
    ASSERT_EQ(seen.replies.size(), 1u) << cut;
  }
  EXPECT_EQ(Parse({longest + "x\r\n"}).error, "reply line too long");
  EXPECT_EQ(Parse({longest + "x\n"}).error, "reply line too long");
  EXPECT_EQ(Parse({longest, "xx"}).error, "reply line too long");
}

TEST(ReplyParser, Rfc4954_4_5_AChallengeMayBeLonger) {
  const std::string longest =
      "334 " + std::string(kMaxChallengeLineOctets - 4, 'A');
  const std::string reply = longest + "\r\n";
  for (const size_t cut : {size_t{1}, size_t{3}, size_t{2049}, reply.size()}) {
    const Seen seen = Parse({std::string_view(reply).substr(0, cut),
                             std::string_view(reply).substr(cut)});
    EXPECT_EQ(seen.error, "") << cut;
    ASSERT_EQ(seen.replies.size(), 1u) << cut;
  }
  EXPECT_EQ(Parse({longest + "A\r\n"}).error, "reply line too long");
  EXPECT_EQ(Parse({"3", "35 " + std::string(3000, 'A') + "\r\n"}).error,
            "reply line too long");
}

TEST(ReplyParser, AReplyWithoutEndIsMalformed) {
  ReplyParser parser;
  const std::string line = "250-" + std::string(1000, 'x') + "\r\n";
  size_t fed = 0;
  size_t consumed = 0;
  while (parser.Parse(line, &consumed) == Result::kNeedMore) {
    fed += consumed;
    ASSERT_LE(fed, kMaxReplyOctets);
  }
  EXPECT_EQ(parser.error(), "reply too long");
  EXPECT_GT(fed, kMaxReplyOctets - 2 * line.size());
}

}  // namespace
}  // namespace tlspost::smtp
