#include "bench/load/report.h"

#include <array>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"

namespace tlspost::load {
namespace {

constexpr std::array<std::pair<std::string_view, double>, 4> kPercentiles = {
    {{"p50", 50}, {"p90", 90}, {"p99", 99}, {"p99.9", 99.9}}};

// Three digits and a unit.
std::string FormatTime(uint64_t nanoseconds) {
  constexpr std::array<std::pair<std::string_view, double>, 4> kUnits = {
      {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
  size_t unit = 0;
  const auto value = static_cast<double>(nanoseconds);
  while (unit + 1 < kUnits.size() && value >= 1000 * kUnits[unit].second) {
    ++unit;
  }
  return absl::StrFormat("%.3g %s", value / kUnits[unit].second,
                         kUnits[unit].first);
}

double PerSecond(uint64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

std::string FormatHead(const RunSummary& run) {
  const Results& results = run.results;
  std::string text = absl::StrFormat(
      "%d messages in %.2f s: %.1f/s, %.2f MB/s\n"
      "%d sessions: %.1f/s; %d errors; %.2f s of processor time used here\n",
      results.messages, run.seconds, PerSecond(results.messages, run.seconds),
      PerSecond(results.octets, run.seconds) / 1e6, results.sessions,
      PerSecond(results.sessions, run.seconds), results.error_count(),
      run.processor_seconds);
  if (results.handshakes > 0) {
    text += absl::StrFormat("%d handshakes, %d of them resumed; %s\n",
                            results.handshakes, results.resumed, results.tls);
  }
  if (results.missed > 0) {
    text += absl::StrFormat(
        "%d were due and never begun: the rate was too high for so many "
        "clients\n",
        results.missed);
  }
  return text;
}

std::string FormatPhases(const Results& results) {
  std::string text = absl::StrFormat("\n%-10s %10s", "phase", "count");
  for (const auto& [name, percent] : kPercentiles) {
    text += absl::StrFormat(" %9s", name);
  }
  text += absl::StrFormat(" %9s\n", "max");
  for (size_t i = 0; i < kPhases; ++i) {
    const measure::Histogram& times = results.phase(static_cast<Phase>(i));
    if (times.count() == 0) continue;
    text += absl::StrFormat("%-10s %10d", kPhaseNames[i], times.count());
    for (const auto& [name, percent] : kPercentiles) {
      text += absl::StrFormat(" %9s", FormatTime(times.Percentile(percent)));
    }
    text += absl::StrFormat(" %9s\n", FormatTime(times.max()));
  }
  return text;
}

std::string FormatErrors(const Results& results) {
  if (results.errors().empty()) return {};
  std::string text = "\nerrors\n";
  for (const auto& [kind, error] : results.errors()) {
    text +=
        absl::StrFormat("  %d x %s: %s\n", error.count, kind, error.example);
  }
  return text;
}

// Name and number of each kind of fault.
std::array<std::pair<std::string_view, uint64_t>, 7> FaultsOf(
    const verify::Verdict& verdict) {
  return {{{"lost", verdict.lost},
           {"doubled", verdict.doubled},
           {"changed", verdict.changed},
           {"mixed", verdict.mixed},
           {"invented", verdict.invented},
           {"unmarked", verdict.unmarked},
           {"over_limit", verdict.over_limit}}};
}

std::string FormatVerdict(const verify::Verdict& verdict) {
  std::string text = absl::StrFormat(
      "\nverified: %d accepted, %d refused, %d unsure (%d of them taken)\n",
      verdict.accepted, verdict.refused, verdict.unsure, verdict.unsure_taken);
  if (verdict.ok()) {
    return text +
           "  each accepted message was taken once, unchanged, with its own "
           "sender and recipients; nothing else was taken\n";
  }
  text += "  FAULTS:";
  for (const auto& [name, count] : FaultsOf(verdict)) {
    if (count > 0) text += absl::StrFormat(" %d %s", count, name);
  }
  text += "\n";
  for (const std::string& example : verdict.examples) {
    text += "  " + example + "\n";
  }
  return text;
}

std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    const auto octet = static_cast<unsigned char>(c);
    if (octet < 0x20 || octet > 0x7e) {
      quoted += absl::StrFormat("\\u%04x", octet);
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

std::string JsonPhase(const measure::Histogram& times) {
  std::string json = absl::StrFormat("{\"count\":%d,\"mean_us\":%.3f",
                                     times.count(), times.mean() / 1e3);
  for (const auto& [name, percent] : kPercentiles) {
    json +=
        absl::StrFormat(",\"%s_us\":%.3f", name,
                        static_cast<double>(times.Percentile(percent)) / 1e3);
  }
  json += absl::StrFormat(",\"max_us\":%.3f,\"buckets\":[",
                          static_cast<double>(times.max()) / 1e3);
  bool first = true;
  times.ForEach([&](uint64_t highest, uint64_t count) {
    json += absl::StrFormat("%s[%.3f,%d]", first ? "" : ",",
                            static_cast<double>(highest) / 1e3, count);
    first = false;
  });
  return json + "]}";
}

std::string JsonVerdict(const verify::Verdict& verdict) {
  std::string json =
      absl::StrFormat("{\"ok\":%s,\"accepted\":%d,\"refused\":%d,\"unsure\":%d",
                      verdict.ok() ? "true" : "false", verdict.accepted,
                      verdict.refused, verdict.unsure);
  for (const auto& [name, count] : FaultsOf(verdict)) {
    json += absl::StrFormat(",\"%s\":%d", name, count);
  }
  return json + "}";
}

}  // namespace

std::string FormatTable(const RunSummary& run) {
  std::string text =
      FormatHead(run) + FormatPhases(run.results) + FormatErrors(run.results);
  if (run.verdict.has_value()) text += FormatVerdict(*run.verdict);
  return text;
}

std::string FormatJson(const RunSummary& run) {
  const Results& results = run.results;
  std::string json = absl::StrFormat(
      "{\"server\":%s,\"clients\":%d,\"threads\":%d,\"seconds\":%.6f,"
      "\"processor_seconds\":%.6f,\n \"messages\":%d,\"octets\":%d,"
      "\"sessions\":%d,\"handshakes\":%d,\"resumed\":%d,\"missed\":%d,"
      "\"tls\":%s,\n \"messages_per_second\":%.3f,"
      "\"sessions_per_second\":%.3f,\n \"phases\":{",
      Quoted(run.options.server), run.options.clients, run.options.threads,
      run.seconds, run.processor_seconds, results.messages, results.octets,
      results.sessions, results.handshakes, results.resumed, results.missed,
      Quoted(results.tls), PerSecond(results.messages, run.seconds),
      PerSecond(results.sessions, run.seconds));
  bool first = true;
  for (size_t i = 0; i < kPhases; ++i) {
    const measure::Histogram& times = results.phase(static_cast<Phase>(i));
    if (times.count() == 0) continue;
    json += absl::StrFormat("%s\n  %s:%s", first ? "" : ",",
                            Quoted(kPhaseNames[i]), JsonPhase(times));
    first = false;
  }
  json += absl::StrFormat("},\n \"error_count\":%d,\"errors\":[",
                          results.error_count());
  first = true;
  for (const auto& [kind, error] : results.errors()) {
    json += absl::StrFormat("%s\n  {\"kind\":%s,\"count\":%d,\"example\":%s}",
                            first ? "" : ",", Quoted(kind), error.count,
                            Quoted(error.example));
    first = false;
  }
  json += "]";
  if (run.verdict.has_value()) {
    json += ",\n \"verify\":" + JsonVerdict(*run.verdict);
  }
  return json + "}\n";
}

}  // namespace tlspost::load
