// The exposition: what a scrape looks like, and that README has all of it.

#include "proxy/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
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
    const std::string sample = first.substr(0, first.find('{'));
    EXPECT_TRUE(sample == current || sample == current + "_bucket" ||
                sample == current + "_sum" || sample == current + "_count")
        << line;
    EXPECT_TRUE(IsMetricName(current)) << line;
    double value = -1;
    words >> value;
    EXPECT_FALSE(words.fail()) << line;
    EXPECT_TRUE(words.eof()) << line;
  }
  EXPECT_EQ(current.empty(), false);
}

TEST(MetricsTest, RowsHaveASampleForEachOfTheirLabels) {
  MetricsSnapshot snapshot;
  snapshot.counters.limits_hit[Limit::kRecipient] = 7;
  snapshot.counters.backend_replies.at(static_cast<size_t>(BackendStep::kRcpt),
                                       ReplyClassIndex(550)) = 9;
  snapshot.counters.tls_alerts.at(0, TlsAlertIndex(48)) = 11;
  const std::string text = FormatMetrics(snapshot);
  EXPECT_THAT(
      text,
      HasSubstr("\ntlspost_limits_hit_total{limit=\"recipient_limit\"} 7\n"));
  EXPECT_THAT(
      text,
      HasSubstr(
          "\ntlspost_limits_hit_total{limit=\"message_size_limit\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\ntlspost_backend_replies_total"
                              "{command=\"rcpt\",class=\"5xx\"} 9\n"));
  EXPECT_THAT(text, HasSubstr("\ntlspost_tls_alerts_total{direction="
                              "\"received\",alert=\"unknown_ca\"} 11\n"));
}

// The format's rules for histograms: classes are cumulative, and the last one
// has them all.
TEST(MetricsTest, PhasesAreHistograms) {
  MetricsSnapshot snapshot;
  Counters& counters = snapshot.counters;
  counters.Observe(Phase::kBackendMail, std::chrono::microseconds(400));
  counters.Observe(Phase::kBackendMail, std::chrono::microseconds(2000));
  counters.Observe(Phase::kBackendMail, std::chrono::seconds(1000));
  const std::string text = FormatMetrics(snapshot);
  const std::string start = "\ntlspost_phase_seconds";
  for (const std::string sample :
       {"_bucket{phase=\"backend_mail\",le=\"0.0005\"} 1\n",
        "_bucket{phase=\"backend_mail\",le=\"0.001\"} 1\n",
        "_bucket{phase=\"backend_mail\",le=\"0.0025\"} 2\n",
        "_bucket{phase=\"backend_mail\",le=\"300\"} 2\n",
        "_bucket{phase=\"backend_mail\",le=\"+Inf\"} 3\n",
        "_sum{phase=\"backend_mail\"} 1000.0024\n",
        "_count{phase=\"backend_mail\"} 3\n",
        "_count{phase=\"message\"} 0\n"}) {
    EXPECT_THAT(text, HasSubstr(start + sample));
  }
}

TEST(MetricsTest, AllNamesAreKnown) {
  MetricsSnapshot snapshot;
  snapshot.backends.push_back({"127.0.0.1:25", true, 3, 2, 1});
  snapshot.certificates = {{"mx.example", "RSA", 1}};
  std::set<std::string> written;
  for (const std::string& line : LinesOf(FormatMetrics(snapshot))) {
    if (!line.starts_with('#')) {
      written.insert(line.substr(0, line.find_first_of("{ ")));
    }
  }
  const std::vector<std::string> names = MetricNames();
  EXPECT_EQ(written, std::set<std::string>(names.begin(), names.end()));
}

TEST(MetricsTest, BackendsAreToldApart) {
  MetricsSnapshot snapshot;
  snapshot.backends = {{"127.0.0.1:25", true, 3, 2, 1},
                       {"[::1]:25", false, 0, 0, 0}};
  const std::string text = FormatMetrics(snapshot);
  EXPECT_THAT(
      text,
      HasSubstr("\ntlspost_backend_target_up{backend=\"127.0.0.1:25\"} 1\n"));
  EXPECT_THAT(
      text, HasSubstr("\ntlspost_backend_target_up{backend=\"[::1]:25\"} 0\n"));
  EXPECT_THAT(text, HasSubstr("\ntlspost_backend_target_connections"
                              "{backend=\"127.0.0.1:25\"} 3\n"));
  EXPECT_THAT(text, HasSubstr("\ntlspost_backend_target_lent"
                              "{backend=\"127.0.0.1:25\"} 2\n"));
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
