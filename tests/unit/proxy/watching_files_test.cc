// The dashboard and the alert rules in docker/ ask for metrics that there are.

#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "proxy/metrics.h"

namespace tlspost {
namespace {

std::string TextOf(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file.good()) << path;
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// All words that begin as our metrics do.
std::set<std::string> MetricsIn(const std::string& text) {
  std::set<std::string> names;
  for (const std::string start : {"tlspost_", "process_"}) {
    for (size_t at = text.find(start); at != std::string::npos;
         at = text.find(start, at + 1)) {
      size_t end = at;
      while (std::isalnum(static_cast<unsigned char>(text[end])) != 0 ||
             text[end] == '_') {
        ++end;
      }
      names.insert(text.substr(at, end - at));
    }
  }
  return names;
}

void ExpectKnownMetrics(const std::string& path, size_t at_least) {
  const std::vector<std::string> known = MetricNames();
  const std::set<std::string> declared(known.begin(), known.end());
  const std::set<std::string> used = MetricsIn(TextOf(path));
  EXPECT_GE(used.size(), at_least) << path;
  for (const std::string& name : used) {
    EXPECT_TRUE(declared.contains(name)) << path << ": " << name;
  }
}

TEST(WatchingFiles, TheDashboardAsksForMetricsThatThereAre) {
  if (!std::filesystem::exists("docker")) GTEST_SKIP() << "no docker/";
  ExpectKnownMetrics("docker/grafana/tlspost.json", 20);
}

TEST(WatchingFiles, TheAlertsAskForMetricsThatThereAre) {
  if (!std::filesystem::exists("docker")) GTEST_SKIP() << "no docker/";
  ExpectKnownMetrics("docker/prometheus/tlspost.rules.yml", 10);
}

}  // namespace
}  // namespace tlspost
