// Command lines: verbs, arguments, and what is refused by shape alone.

#include "common/smtp/command.h"

#include <set>
#include <string>
#include <utility>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

std::string_view ShapeRefusal(std::string_view line) {
  const auto refusal = RefuseByShape(ParseCommand(line));
  return refusal.has_value() ? refusal->text() : "";
}

TEST(Command, Rfc5321_2_4_VerbsInAnyCase) {
  const std::pair<std::string_view, Verb> lines[] = {
      {"HELO a", Verb::kHelo},
      {"ehlo a", Verb::kEhlo},
      {"StartTLS", Verb::kStartTls},
      {"mail FROM:<>", Verb::kMail},
      {"RCPT TO:<a>", Verb::kRcpt},
      {"DATA", Verb::kData},
      {"rset", Verb::kRset},
      {"NOOP", Verb::kNoop},
      {"VRFY a", Verb::kVrfy},
      {"EXPN a", Verb::kExpn},
      {"ETRN a", Verb::kEtrn},
      {"HELP", Verb::kHelp},
      {"QUIT", Verb::kQuit},
      {"AUTH PLAIN", Verb::kAuth},
      {"BDAT 1 LAST", Verb::kBdat},
      {"XCLIENT ADDR=1", Verb::kXclient},
      {"XFORWARD A=1", Verb::kXforward},
      {"PROXY TCP4", Verb::kProxy},
      {"GET / HTTP/1.1", Verb::kForbidden},
      {"post /", Verb::kForbidden},
      {"", Verb::kEmpty},
      {" \t ", Verb::kEmpty},
      {"MAI FROM:<a>", Verb::kUnknown},
      {"MAILX", Verb::kUnknown},
      {"STARTTLS\xff", Verb::kUnknown},
  };
  for (const auto& [line, verb] : lines) {
    EXPECT_EQ(ParseCommand(line).verb, verb) << line;
  }
}

TEST(Command, BlanksAroundAreIgnored) {
  const std::string_view line = " \tmail   FROM:<a@b> SIZE=1 \t";
  const Command command = ParseCommand(line);
  EXPECT_EQ(command.verb, Verb::kMail);
  EXPECT_EQ(command.verb_text, "mail");
  EXPECT_EQ(command.argument, "FROM:<a@b> SIZE=1");
  EXPECT_EQ(command.line, line);
  EXPECT_EQ(ParseCommand("QUIT  ").argument, "");
}

TEST(Command, Edge61_ControlOctetsAreBadSyntax) {
  EXPECT_EQ(ShapeRefusal(std::string_view("NOOP \0", 6)),
            "500 5.5.2 Error: bad syntax\r\n");
  EXPECT_EQ(ShapeRefusal("MAIL FROM:<a\r@b>"),
            "500 5.5.2 Error: bad syntax\r\n");
  EXPECT_EQ(ShapeRefusal(""), "500 5.5.2 Error: bad syntax\r\n");
}

TEST(Command, Rfc3207_4_StartTlsTakesNoArgument) {
  EXPECT_EQ(ShapeRefusal("STARTTLS x"), "501 5.5.4 Syntax: STARTTLS\r\n");
  EXPECT_EQ(ShapeRefusal("STARTTLS "), "");
}

TEST(Command, Rfc5321_4_3_2_ArgumentsWhereTheyBelong) {
  EXPECT_EQ(ShapeRefusal("DATA x"), "501 5.5.4 Syntax: DATA\r\n");
  EXPECT_EQ(ShapeRefusal("RSET x"), "501 5.5.4 Syntax: RSET\r\n");
  EXPECT_EQ(ShapeRefusal("QUIT x"), "501 5.5.4 Syntax: QUIT\r\n");
  EXPECT_EQ(ShapeRefusal("EHLO"), "501 5.5.4 Syntax: EHLO hostname\r\n");
  EXPECT_EQ(ShapeRefusal("HELO "), "501 5.5.4 Syntax: HELO hostname\r\n");
  EXPECT_EQ(ShapeRefusal("BDAT"), "501 5.5.4 Syntax: BDAT count [LAST]\r\n");
  EXPECT_EQ(ShapeRefusal("MAIL"), "501 5.5.4 Syntax: MAIL FROM:<address>\r\n");
  EXPECT_EQ(ShapeRefusal("RCPT"), "501 5.5.4 Syntax: RCPT TO:<address>\r\n");
  for (const char* fine : {"DATA", "NOOP", "NOOP x y", "HELP", "HELP MAIL",
                           "QUIT", "EHLO a b", "VRFY a", "RSET"}) {
    EXPECT_EQ(ShapeRefusal(fine), "") << fine;
  }
}

TEST(Command, Edge64And65_NotForClients) {
  for (const char* line :
       {"XCLIENT ADDR=1.2.3.4", "XFORWARD NAME=a", "BURL x",
        "PROXY TCP4 1.2.3.4 1.2.3.4 1 2", "EXPN list", "ETRN a", "TURN"}) {
    EXPECT_EQ(ShapeRefusal(line),
              "502 5.5.1 Error: command not implemented\r\n")
        << line;
  }
  EXPECT_EQ(ShapeRefusal("FOO"), "500 5.5.2 Error: command not recognized\r\n");
  EXPECT_EQ(ShapeRefusal("GET / HTTP/1.0"),
            "221 2.7.0 Error: I can break rules, too. Goodbye.\r\n");
}

// Edge 38: what a client may say in plaintext where TLS is required.
TEST(Command, Rfc3207_4_BeforeTlsOnlyFiveCommands) {
  std::set<Verb> allowed;
  for (int verb = 0; verb <= static_cast<int>(Verb::kUnknown); ++verb) {
    const VerbInfo& info = InfoOf(static_cast<Verb>(verb));
    EXPECT_EQ(info.verb, static_cast<Verb>(verb));
    if (info.before_tls) allowed.insert(info.verb);
    if (info.to_backend) {
      EXPECT_TRUE(info.implemented) << info.name;
    }
  }
  EXPECT_EQ(allowed, std::set<Verb>({Verb::kNoop, Verb::kEhlo, Verb::kHelo,
                                     Verb::kStartTls, Verb::kQuit}));
}

TEST(Command, Rfc2920_3_1_WhatEndsAGroup) {
  for (const Verb verb : {Verb::kEhlo, Verb::kData, Verb::kVrfy, Verb::kQuit,
                          Verb::kNoop, Verb::kStartTls, Verb::kExpn}) {
    EXPECT_TRUE(InfoOf(verb).ends_group) << InfoOf(verb).name;
  }
  for (const Verb verb : {Verb::kMail, Verb::kRcpt, Verb::kRset}) {
    EXPECT_FALSE(InfoOf(verb).ends_group) << InfoOf(verb).name;
  }
}

}  // namespace
}  // namespace tlspost::smtp
