// The exposition: what a scrape looks like, and that README has all of it.

#include "proxy/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>

namespace tlspost {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> LinesOf(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

bool IsMetricName(const std::string& name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") ==
             std::string::npos;
}

TEST(MetricsTest, EveryCounterHasItsValue) {
  MetricsSnapshot snapshot;
  int64_t next = 1000;
#define TLSPOST_FILL(name, text) snapshot.counters.name = ++next;
  TLSPOST_COUNTERS(TLSPOST_FILL)
#undef TLSPOST_FILL
#define TLSPOST_FILL(name, text) snapshot.name = ++next;
  TLSPOST_GAUGES(TLSPOST_FILL)
#undef TLSPOST_FILL
  const std::string text = "\n" + FormatMetrics(snapshot);
  next = 1000;
#define TLSPOST_EXPECT(name, help)                                         \
  EXPECT_THAT(text, HasSubstr("\n# HELP tlspost_" #name "_total " help     \
                              "\n# TYPE tlspost_" #name                    \
                              "_total counter\ntlspost_" #name "_total " + \
                              std::to_string(++next) + "\n"));
  TLSPOST_COUNTERS(TLSPOST_EXPECT)
#undef TLSPOST_EXPECT
#define TLSPOST_EXPECT(name, help)                                             \
  EXPECT_THAT(                                                                 \
      text, HasSubstr("\n# HELP tlspost_" #name " " help                       \
                      "\n# TYPE tlspost_" #name " gauge\ntlspost_" #name " " + \
                      std::to_string(++next) + "\n"));
  TLSPOST_GAUGES(TLSPOST_EXPECT)
#undef TLSPOST_EXPECT
}

// The format's rules: HELP, TYPE, then the samples of the same name, every
// name once, every line ended.
TEST(MetricsTest, IsTextFormat004) {
  MetricsSnapshot snapshot;
  snapshot.certificates = {{"mx.example", "RSA", 1},
                           {"mx.example", "ECDSA", 2}};
  const std::string text = FormatMetrics(snapshot);
  ASSERT_TRUE(text.ends_with('\n'));
  std::set<std::string> seen;
  std::string current;
  for (const std::string& line : LinesOf(text)) {
    std::istringstream words(line);
    std::string first;
    std::string word;
    std::string name;
    words >> first;
    if (first == "#") {
      words >> word >> name;
      if (word == "HELP") {
        EXPECT_TRUE(seen.insert(name).second) << line;
        current = name;
      } else {
        EXPECT_EQ(word, "TYPE") << line;
        std::string type;
        words >> type;
        EXPECT_EQ(type == "counter", name.ends_with("_total")) << line;
      }
      EXPECT_EQ(name, current) << line;
      continue;
    }
    EXPECT_EQ(first.substr(0, first.find('{')), current) << line;
    EXPECT_TRUE(IsMetricName(current)) << line;
    int64_t value = -1;
    words >> value;
    EXPECT_FALSE(words.fail()) << line;
    EXPECT_TRUE(words.eof()) << line;
  }
  EXPECT_EQ(current.empty(), false);
}

TEST(MetricsTest, CertificatesAreToldApart) {
  MetricsSnapshot snapshot;
  snapshot.certificates = {{"mx.example", "RSA", 1700000000},
                           {"mx.example", "ECDSA", 1800000000}};
  const std::string text = FormatMetrics(snapshot);
  EXPECT_THAT(text,
              HasSubstr("tlspost_certificate_not_after_seconds"
                        "{name=\"mx.example\",key=\"RSA\"} 1700000000\n"));
  EXPECT_THAT(text,
              HasSubstr("tlspost_certificate_not_after_seconds"
                        "{name=\"mx.example\",key=\"ECDSA\"} 1800000000\n"));
}

// Two samples with the same labels would spoil the whole scrape.
TEST(MetricsTest, OfTwoAlikeTheOneThatEndsFirst) {
  for (const bool first_is_earlier : {false, true}) {
    MetricsSnapshot snapshot;
    snapshot.certificates = {{"mx.example", "RSA", first_is_earlier ? 5 : 7},
                             {"mx.example", "RSA", first_is_earlier ? 7 : 5}};
    const std::string text = FormatMetrics(snapshot);
    EXPECT_THAT(text, HasSubstr("key=\"RSA\"} 5\n"));
    EXPECT_THAT(text, Not(HasSubstr("key=\"RSA\"} 7\n")));
  }
}

TEST(MetricsTest, WhateverACertificateIsCalled) {
  MetricsSnapshot snapshot;
  snapshot.certificates = {{"a\"b\\c\nd\xff\xc3\xa4", "RSA", 1}};
  EXPECT_THAT(FormatMetrics(snapshot),
              HasSubstr("{name=\"a\\\"b\\\\c?d???\",key=\"RSA\"} 1\n"));
}

TEST(MetricsTest, ReadmeTableIsUpToDate) {
  if (!std::filesystem::exists("README.md")) GTEST_SKIP() << "no README.md";
  std::ifstream file("README.md");
  std::stringstream readme;
  readme << file.rdbuf();
  const std::string text = readme.str();
  const size_t begin = text.find(kMetricsTableBegin);
  ASSERT_NE(begin, std::string::npos) << "no " << kMetricsTableBegin;
  const size_t end = text.find(kMetricsTableEnd, begin);
  ASSERT_NE(end, std::string::npos) << "no " << kMetricsTableEnd;
  EXPECT_EQ(text.substr(begin, end + kMetricsTableEnd.size() - begin),
            FormatMetricsTable())
      << "run scripts/generate";
}

}  // namespace
}  // namespace tlspost
