// The table of all metrics, and its renderings.

#include "proxy/metrics.h"

#include <algorithm>
#include <functional>
#include <map>
#include <span>
#include <variant>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

// A sample's labels as they are written: {name="mx"}, or nothing.
using Samples = std::map<std::string, int64_t>;

// Where the counters of a row are, and the values of its labels.
struct Rows {
  std::span<const int64_t> (*values)(const Counters&);
  std::string_view first;
  std::span<const std::string_view> first_values;
  std::string_view second;
  std::span<const std::string_view> second_values;
};

struct Metric {
  std::string_view name;
  std::string_view type;
  std::string_view help;
  std::variant<int64_t Counters::*, int64_t MetricsSnapshot::*,
               Samples (*)(const MetricsSnapshot&), Rows>
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

// One sample for each backend.
template <typename Value>
Samples OfBackends(const MetricsSnapshot& snapshot, Value BackendFacts::*what) {
  Samples samples;
  for (const BackendFacts& backend : snapshot.backends) {
    samples[absl::StrFormat("{backend=\"%s\"}", LabelValue(backend.address))] =
        static_cast<int64_t>(backend.*what);
  }
  return samples;
}

Samples BackendsUp(const MetricsSnapshot& snapshot) {
  return OfBackends(snapshot, &BackendFacts::up);
}

Samples BackendsOpen(const MetricsSnapshot& snapshot) {
  return OfBackends(snapshot, &BackendFacts::open);
}

Samples BackendsLent(const MetricsSnapshot& snapshot) {
  return OfBackends(snapshot, &BackendFacts::lent);
}

constexpr std::string_view kCounter = "counter";
constexpr std::string_view kGauge = "gauge";

#define TLSPOST_COUNTER_METRIC(name, text) \
  {"tlspost_" #name "_total", kCounter, text, &Counters::name},
#define TLSPOST_GAUGE_METRIC(name, text) \
  {"tlspost_" #name, kGauge, text, &MetricsSnapshot::name},
#define TLSPOST_ROWS_METRIC(name, label, words, label2, words2, text) \
  {"tlspost_" #name "_total", kCounter, text,                         \
   Rows{[](const Counters& counters) -> std::span<const int64_t> {    \
          return counters.name.values;                                \
        },                                                            \
        label, words, label2, words2},                                \
   std::string_view(label2).empty()                                   \
       ? std::string_view("{" label "}")                              \
       : std::string_view("{" label ", " label2 "}")},

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
    TLSPOST_GAUGES(TLSPOST_GAUGE_METRIC){
        "tlspost_backend_target_up", kGauge,
        "whether a worker reaches this backend: 1 or 0", &BackendsUp,
        "{backend}"},
    {"tlspost_backend_target_connections", kGauge,
     "connections open to this backend", &BackendsOpen, "{backend}"},
    {"tlspost_backend_target_lent", kGauge, "of these, lent to a transaction",
     &BackendsLent, "{backend}"},
    TLSPOST_COUNTERS(TLSPOST_COUNTER_METRIC)
        TLSPOST_COUNTER_ROWS(TLSPOST_ROWS_METRIC)};

#undef TLSPOST_COUNTER_METRIC
#undef TLSPOST_GAUGE_METRIC
#undef TLSPOST_ROWS_METRIC

constexpr std::string_view kPhaseMetric = "tlspost_phase_seconds";
constexpr std::string_view kPhaseHelp =
    "how long each part of a mail's way takes";

void AppendRows(const Metric& metric, const Rows& rows,
                const Counters& counters, std::string* text) {
  const std::span<const int64_t> values = rows.values(counters);
  const size_t columns = rows.second_values.size();
  for (size_t i = 0; i < values.size(); ++i) {
    absl::StrAppendFormat(text, "%s{%s=\"%s\"", metric.name, rows.first,
                          rows.first_values[i / columns]);
    if (!rows.second.empty()) {
      absl::StrAppendFormat(text, ",%s=\"%s\"", rows.second,
                            rows.second_values[i % columns]);
    }
    absl::StrAppendFormat(text, "} %d\n", values[i]);
  }
}

void AppendSamples(const Metric& metric, const MetricsSnapshot& snapshot,
                   std::string* text) {
  if (const auto* counter = std::get_if<int64_t Counters::*>(&metric.value)) {
    absl::StrAppendFormat(text, "%s %d\n", metric.name,
                          snapshot.counters.**counter);
  } else if (const auto* gauge =
                 std::get_if<int64_t MetricsSnapshot::*>(&metric.value)) {
    absl::StrAppendFormat(text, "%s %d\n", metric.name, snapshot.**gauge);
  } else if (const auto* rows = std::get_if<Rows>(&metric.value)) {
    AppendRows(metric, *rows, snapshot.counters, text);
  } else {
    const auto samples =
        std::get<Samples (*)(const MetricsSnapshot&)>(metric.value)(snapshot);
    for (const auto& [labels, value] : samples) {
      absl::StrAppendFormat(text, "%s%s %d\n", metric.name, labels, value);
    }
  }
}

// Microseconds as seconds, without a rounding error: 0.0025.
std::string PrintedSeconds(int64_t us) {
  std::string text = absl::StrFormat("%d.%06d", us / 1'000'000, us % 1'000'000);
  while (text.ends_with('0')) text.pop_back();
  if (text.ends_with('.')) text.pop_back();
  return text;
}

void AppendPhases(const Counters& counters, std::string* text) {
  absl::StrAppendFormat(text, "# HELP %s %s\n# TYPE %s histogram\n",
                        kPhaseMetric, kPhaseHelp, kPhaseMetric);
  for (size_t i = 0; i < counters.phases.size(); ++i) {
    const DurationHistogram& histogram = counters.phases[i];
    const std::string_view phase = kPhaseLabels[i];
    int64_t so_far = 0;
    for (size_t j = 0; j < DurationHistogram::kUpperEndsUs.size(); ++j) {
      so_far += histogram.counts[j];
      absl::StrAppendFormat(
          text, "%s_bucket{phase=\"%s\",le=\"%s\"} %d\n", kPhaseMetric, phase,
          PrintedSeconds(DurationHistogram::kUpperEndsUs[j]), so_far);
    }
    const int64_t count = histogram.count();
    absl::StrAppendFormat(text, "%s_bucket{phase=\"%s\",le=\"+Inf\"} %d\n",
                          kPhaseMetric, phase, count);
    absl::StrAppendFormat(text, "%s_sum{phase=\"%s\"} %s\n", kPhaseMetric,
                          phase, PrintedSeconds(histogram.sum_us));
    absl::StrAppendFormat(text, "%s_count{phase=\"%s\"} %d\n", kPhaseMetric,
                          phase, count);
  }
}

}  // namespace

std::string_view ProgramVersion() { return TLSPOST_VERSION; }

std::string FormatMetrics(const MetricsSnapshot& snapshot) {
  std::string text;
  for (const Metric& metric : kMetrics) {
    absl::StrAppendFormat(&text, "# HELP %s %s\n# TYPE %s %s\n", metric.name,
                          metric.help, metric.name, metric.type);
    AppendSamples(metric, snapshot, &text);
  }
  AppendPhases(snapshot.counters, &text);
  return text;
}

std::vector<std::string> MetricNames() {
  std::vector<std::string> names;
  for (const Metric& metric : kMetrics) names.emplace_back(metric.name);
  for (const std::string_view part : {"_bucket", "_sum", "_count"}) {
    names.push_back(std::string(kPhaseMetric).append(part));
  }
  return names;
}

std::string FormatMetricsTable() {
  std::string table(kMetricsTableBegin);
  table += "\n\n| Metric | Type | What it counts or shows |\n";
  table += "| --- | --- | --- |";
  for (const Metric& metric : kMetrics) {
    absl::StrAppendFormat(&table, "\n| `%s%s` | %s | %s |", metric.name,
                          metric.labels, metric.type, metric.help);
  }
  absl::StrAppendFormat(&table, "\n| `%s{phase}` | histogram | %s |",
                        kPhaseMetric, kPhaseHelp);
  return table.append("\n\n").append(kMetricsTableEnd);
}

}  // namespace tlspost
