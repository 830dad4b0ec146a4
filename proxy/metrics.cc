// The table of all metrics, and its two renderings.

#include "proxy/metrics.h"

#include <algorithm>
#include <map>
#include <variant>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

// A sample's labels as they are written: {name="mx"}, or nothing.
using Samples = std::map<std::string, int64_t>;

struct Metric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::variant<int64_t Counters::*, int64_t MetricsSnapshot::*,
               Samples (*)(const MetricsSnapshot&)>
      value;
  std::string_view labels = {};  // for people: {name, key}
};

// What is in a certificate may be anything; a scrape with an octet that is not
// UTF-8 would be thrown away whole.
std::string LabelValue(std::string_view text) {
  std::string value;
  for (const char c : text) {
    if (c == '"' || c == '\\') value += '\\';
    value += c >= ' ' && c <= '~' ? c : '?';
  }
  return value;
}

// Of several that look the same, the one that ends first.
Samples CertificateEnds(const MetricsSnapshot& snapshot) {
  Samples samples;
  for (const tls::CertificateFacts& facts : snapshot.certificates) {
    const std::string labels = absl::StrFormat(
        "{name=\"%s\",key=\"%s\"}", LabelValue(facts.name), facts.key);
    const auto [sample, is_new] = samples.emplace(labels, facts.not_after_s);
    if (!is_new) sample->second = std::min(sample->second, facts.not_after_s);
  }
  return samples;
}

Samples BuildInfo(const MetricsSnapshot& /*snapshot*/) {
  return {{"{version=\"" TLSPOST_VERSION "\"}", 1}};
}

Samples EngineInfo(const MetricsSnapshot& snapshot) {
  return {{absl::StrFormat("{engine=\"%s\"}", snapshot.io_engine), 1}};
}

constexpr std::string_view kCounter = "counter";
constexpr std::string_view kGauge = "gauge";

#define TLSPOST_COUNTER_METRIC(name, text) \
  {"tlspost_" #name "_total", kCounter, text, &Counters::name},
#define TLSPOST_GAUGE_METRIC(name, text) \
  {"tlspost_" #name, kGauge, text, &MetricsSnapshot::name},

constexpr Metric kMetrics[] = {
    {"tlspost_build_info", kGauge, "1, with the version", &BuildInfo,
     "{version}"},
    {"tlspost_io_engine", kGauge,
     "1, with the kernel's interface in use: io_uring or epoll", &EngineInfo,
     "{engine}"},
    {"process_start_time_seconds", kGauge, "when the process began",
     &MetricsSnapshot::start_time_s},
    {"tlspost_certificate_not_after_seconds", kGauge,
     "when a certificate that is served ends", &CertificateEnds, "{name, key}"},
    {"tlspost_log_lines_dropped_total", kCounter,
     "log lines dropped because the log was too slow",
     &MetricsSnapshot::log_lines_dropped},
    TLSPOST_GAUGES(TLSPOST_GAUGE_METRIC)
        TLSPOST_COUNTERS(TLSPOST_COUNTER_METRIC)};

#undef TLSPOST_COUNTER_METRIC
#undef TLSPOST_GAUGE_METRIC

Samples SamplesOf(const Metric& metric, const MetricsSnapshot& snapshot) {
  if (const auto* counter = std::get_if<int64_t Counters::*>(&metric.value)) {
    return {{"", snapshot.counters.**counter}};
  }
  if (const auto* gauge =
          std::get_if<int64_t MetricsSnapshot::*>(&metric.value)) {
    return {{"", snapshot.**gauge}};
  }
  return std::get<Samples (*)(const MetricsSnapshot&)>(metric.value)(snapshot);
}

}  // namespace

std::string FormatMetrics(const MetricsSnapshot& snapshot) {
  std::string text;
  for (const Metric& metric : kMetrics) {
    absl::StrAppendFormat(&text, "# HELP %s %s\n# TYPE %s %s\n", metric.name,
                          metric.help, metric.name, metric.type);
    for (const auto& [labels, value] : SamplesOf(metric, snapshot)) {
      absl::StrAppendFormat(&text, "%s%s %d\n", metric.name, labels, value);
    }
  }
  return text;
}

std::string FormatMetricsTable() {
  std::string table(kMetricsTableBegin);
  table += "\n\n| Metric | Type | What it counts or shows |\n";
  table += "| --- | --- | --- |";
  for (const Metric& metric : kMetrics) {
    absl::StrAppendFormat(&table, "\n| `%s%s` | %s | %s |", metric.name,
                          metric.labels, metric.type, metric.help);
  }
  return table.append("\n\n").append(kMetricsTableEnd);
}

}  // namespace tlspost
