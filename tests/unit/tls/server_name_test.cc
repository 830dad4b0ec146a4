// Which pattern a name belongs to.

#include "common/tls/server_name.h"

#include <gtest/gtest.h>

namespace tlspost::tls {
namespace {

TEST(ServerName, IsNormalInLowerCaseWithoutATrailingDot) {
  EXPECT_EQ(NormalServerName("MX.Example.ORG."), "mx.example.org");
  EXPECT_EQ(NormalServerName("."), "");
  EXPECT_EQ(NormalServerName(""), "");
  // ASCII only: what a locale takes for a letter is left alone.
  EXPECT_EQ(NormalServerName("\xc4.ORG"), "\xc4.org");
}

TEST(ServerName, MatchesANameOrAllBelowIt) {
  EXPECT_TRUE(ServerNameMatches("mx.example.org", "mx.example.org"));
  EXPECT_FALSE(ServerNameMatches("mx.example.org", "a.mx.example.org"));
  EXPECT_FALSE(ServerNameMatches("mx.example.org", "x.example.org"));
  EXPECT_TRUE(ServerNameMatches(".example.org", "mx.example.org"));
  EXPECT_TRUE(ServerNameMatches(".example.org", "a.mx.example.org"));
  EXPECT_FALSE(ServerNameMatches(".example.org", "example.org"));
  EXPECT_FALSE(ServerNameMatches(".example.org", "badexample.org"));
  EXPECT_FALSE(ServerNameMatches(".example.org", ""));
  EXPECT_FALSE(ServerNameMatches("", ""));
}

TEST(ServerName, FindsTheNameFirstAndThenTheLongestPattern) {
  ServerNameMap<int> map;
  EXPECT_EQ(map.Find("mx.example.org"), nullptr);
  EXPECT_TRUE(map.Add(".org", 1));
  EXPECT_TRUE(map.Add(".example.org", 2));
  EXPECT_TRUE(map.Add("mx.example.org", 3));
  EXPECT_FALSE(map.Add(".org", 4));
  EXPECT_EQ(*map.Find("mx.example.org"), 3);
  EXPECT_EQ(*map.Find("a.example.org"), 2);
  EXPECT_EQ(*map.Find("a.mx.example.org"), 2);
  EXPECT_EQ(*map.Find("example.org"), 1);
  EXPECT_EQ(map.Find("org"), nullptr);
  EXPECT_EQ(map.Find("example.com"), nullptr);
  EXPECT_EQ(map.Find(""), nullptr);
  EXPECT_EQ(map.Find("...."), nullptr);
  EXPECT_EQ(map.Find("org\n"), nullptr);
}

TEST(ServerName, SaysWhatIsWrongWithAPattern) {
  EXPECT_EQ(ServerNamePatternProblem("mx1.Example-2.org."), "");
  EXPECT_EQ(ServerNamePatternProblem(".example.org"), "");
  EXPECT_EQ(ServerNamePatternProblem("*.example.org"),
            "server name \"*.example.org\" has a star; write .example.org for "
            "all names below it");
  for (const std::string name : {"", ".", "a..b", ".."}) {
    EXPECT_EQ(ServerNamePatternProblem(name),
              "server name \"" + name +
                  "\" is no host name; write it as mx.example.org, or "
                  ".example.org for all names below it");
  }
  EXPECT_EQ(ServerNamePatternProblem("m\xc3\xbcller.example"),
            "server name \"m\xc3\xbcller.example\" has characters that no "
            "host name has; write it as mx.example.org (xn--... for other "
            "alphabets)");
}

}  // namespace
}  // namespace tlspost::tls
