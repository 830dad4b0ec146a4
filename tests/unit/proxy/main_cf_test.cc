// main.cf's syntax. That postconf(1) reads it so is seen by the end-to-end
// tests.

#include "proxy/import/main_cf.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tlspost {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::string ValueOf(std::string_view name, std::string_view text) {
  return MainCf(text, "/etc/postfix").Find(name).value_or("(not set)");
}

TEST(MainCf, LinesGoOnAndCommentsEndNothing) {
  const MainCf cf(
      "# a = b\n"
      "a = 1\n"
      "\n"
      "list =\n"
      "   one,\n"
      "  # a comment in between\n"
      "\n"
      "\ttwo\n"
      "a=3\r\n"
      "b   =   x = y  \n",
      "/etc");
  EXPECT_EQ(cf.Find("a"), "3");  // the last one wins
  EXPECT_EQ(cf.Find("list"), "one, two");
  EXPECT_EQ(cf.Find("b"), "x = y");
  EXPECT_EQ(cf.Find("c"), std::nullopt);
  EXPECT_THAT(cf.names(), ElementsAre("a", "b", "list"));
  EXPECT_THAT(cf.odd_lines(), IsEmpty());
}

TEST(MainCf, WhatIsNoParameterIsReported) {
  const MainCf cf("a = 1\nnonsense\n= 2\n", "/etc");
  EXPECT_THAT(cf.odd_lines(),
              ElementsAre(HasSubstr("line 2"), HasSubstr("line 3")));
}

TEST(MainCf, VariablesAreFilledIn) {
  EXPECT_EQ(ValueOf("b", "a = 1\nb = $a ${a} $(a)\n"), "1 1 1");
  EXPECT_EQ(ValueOf("b", "b = $a\na = $c$c\nc = x\n"), "xx");
  EXPECT_EQ(ValueOf("b", "b = 5$$\n"), "5$");
  EXPECT_EQ(ValueOf("b", "b = ${config_directory}/x $data_directory\n"),
            "/etc/postfix/x /var/lib/postfix");
  EXPECT_EQ(ValueOf("o", "myhostname = mx.example.org\no = $mydomain\n"),
            "example.org");
}

TEST(MainCf, ConditionsAreFollowed) {
  constexpr std::string_view kSet = "a = 1\nempty =\n";
  const auto value = [&](std::string_view text) {
    return ValueOf("b", std::string(kSet) + "b = " + std::string(text) + "\n");
  };
  EXPECT_EQ(value("${a?yes}"), "yes");
  EXPECT_EQ(value("${a:no}"), "");
  EXPECT_EQ(value("${empty?yes}"), "");
  EXPECT_EQ(value("${empty:no}"), "no");
  EXPECT_EQ(value("${a?{yes $a}:{no}}"), "yes 1");
  EXPECT_EQ(value("${empty?{yes}:{no}}"), "no");
  EXPECT_EQ(value("${stress?{10}:{300}}s"), "300s");
  EXPECT_EQ(value("${{$a} == {1} ? {same} : {other}}"), "same");
  EXPECT_EQ(value("${{$a} != {1} ? {same} : {other}}"), "other");
}

TEST(MainCf, UnknownVariablesAreEmptyAndNoted) {
  const MainCf cf("b = <$nowhere>\nc = ${{$b} <level {1} ? {x} : {y}}\n", "/");
  EXPECT_EQ(cf.Find("b"), "<>");
  EXPECT_EQ(cf.Find("c"), "");
  EXPECT_THAT(cf.unknown_variables(),
              UnorderedElementsAre("nowhere", HasSubstr("<level")));
}

TEST(MainCf, CirclesAndBrokenBracesEnd) {
  EXPECT_EQ(ValueOf("a", "a = x$b\nb = y$a\n").substr(0, 4), "xyxy");
  EXPECT_EQ(ValueOf("a", "a = ${b\nb = 1\n"), "1");
  EXPECT_EQ(ValueOf("a", "a = $\n"), "");
  EXPECT_EQ(ValueOf("a", "a = ${}|${a?}\n"), "|");
}

TEST(MainCf, AFileThatIsNotThere) {
  EXPECT_FALSE(MainCf::Read("/nowhere/main.cf").ok());
}

}  // namespace
}  // namespace tlspost
