// The documents.

#include "proxy/status_json.h"

#include <algorithm>
#include <span>

#include "absl/strings/str_format.h"
#include "proxy/json_text.h"

namespace tlspost {
namespace {

constexpr double kUsInMs = 1000;
constexpr size_t kFiveMinutes = 30;  // of StatusHistory::kInterval

// [a, b, c], each as `format` writes it.
template <typename List, typename Format>
std::string JsonList(const List& list, Format format) {
  std::string json = "[";
  bool is_first = true;
  for (const auto& entry : list) {
    if (!is_first) json += ", ";
    is_first = false;
    json += format(entry);
  }
  return json + "]";
}

// {"label": count}; without those that are 0.
std::string CountsJson(std::span<const std::string_view> labels,
                       std::span<const int64_t> counts) {
  std::string json = "{";
  for (size_t i = 0; i < labels.size(); ++i) {
    if (counts[i] == 0) continue;
    absl::StrAppendFormat(&json, "%s\"%s\": %d", json.size() > 1 ? ", " : "",
                          labels[i], counts[i]);
  }
  return json + "}";
}

std::string PhasesJson(const StatusHistory::Phases& phases) {
  std::string json = "{";
  for (size_t i = 0; i < phases.size(); ++i) {
    absl::StrAppendFormat(
        &json, R"(%s"%s": {"count": %d, "p50_ms": %.2f, "p95_ms": %.2f})",
        i == 0 ? "" : ", ", kPhaseLabels[i], phases[i].count(),
        phases[i].QuantileUs(0.5) / kUsInMs,
        phases[i].QuantileUs(0.95) / kUsInMs);
  }
  return json + "}";
}

std::string HistoryJson(const StatusHistory& history) {
  const auto& samples = history.samples();
  const auto whole = [](int64_t StatusSample::*what) {
    return [what](const StatusSample& sample) {
      return absl::StrFormat("%d", sample.*what);
    };
  };
  const auto broken = [](double StatusSample::*what) {
    return [what](const StatusSample& sample) {
      return absl::StrFormat("%.4g", sample.*what);
    };
  };
  const auto interval =
      std::chrono::duration_cast<std::chrono::seconds>(StatusHistory::kInterval)
          .count();
  return absl::StrFormat(
      R"({"interval": %d, "samples": %d, "end": %d, "sessions": %s, )"
      R"("messages": %s, "refused": %s, "p50_ms": %s, "p95_ms": %s})",
      interval, StatusHistory::kSamples,
      samples.empty() ? 0 : samples.back().time_s,
      JsonList(samples, whole(&StatusSample::sessions)),
      JsonList(samples, whole(&StatusSample::messages)),
      JsonList(samples, whole(&StatusSample::refused)),
      JsonList(samples, broken(&StatusSample::p50_ms)),
      JsonList(samples, broken(&StatusSample::p95_ms)));
}

std::string TlsJson(const Counters& counters) {
  return absl::StrFormat(
      R"({"messages": %s, "versions": %s, "ciphers": %s, "groups": %s, )"
      R"("failures": %s, "handshakes": {"ok": %d, "resumed": %d, )"
      R"("failed": %d}})",
      CountsJson(kTlsUseLabels, counters.messages_by_tls.values),
      CountsJson(kTlsVersionLabels, counters.handshake_versions.values),
      CountsJson(kTlsCipherLabels, counters.handshake_ciphers.values),
      CountsJson(kTlsGroupLabels, counters.handshake_groups.values),
      CountsJson(kTlsFailureLabels, counters.handshake_failures.values),
      counters.handshakes, counters.handshakes_resumed,
      counters.handshakes_failed);
}

std::string PoolJson(const MetricsSnapshot& metrics) {
  int lent = 0;
  for (const BackendFacts& backend : metrics.backends) lent += backend.lent;
  const Counters& counters = metrics.counters;
  return absl::StrFormat(
      R"({"open": %d, "max": %d, "lent": %d, "idle": %d, "waiting": %d, )"
      R"("leases": %d, "reused": %d, "connects": %d})",
      metrics.backend_connections, metrics.backend_connections_max, lent,
      metrics.backend_connections_idle, metrics.backend_waiting,
      counters.leases, counters.leases_reused, counters.backend_connects);
}

std::string BackendJson(const BackendFacts& backend) {
  return absl::StrFormat(
      R"({"address": %s, "up": %s, "open": %d, "lent": %d, "idle": %d})",
      JsonQuoted(backend.address), backend.up ? "true" : "false", backend.open,
      backend.lent, backend.idle);
}

std::string CertificateJson(const tls::CertificateFacts& facts) {
  return absl::StrFormat(R"({"name": %s, "key": %s, "not_after": %d})",
                         JsonQuoted(facts.name), JsonQuoted(facts.key),
                         facts.not_after_s);
}

std::string WatchJson(const MetricsSnapshot& metrics) {
  const Counters& counters = metrics.counters;
  return absl::StrFormat(
      R"({"outcomes_unknown": %d, "xclients_refused": %d, )"
      R"("starttls_injections": %d, "smuggling_attempts": %d, )"
      R"("log_lines_dropped": %d})",
      counters.outcomes_unknown, counters.xclients_refused,
      counters.starttls_injections, counters.smuggling_attempts,
      metrics.log_lines_dropped);
}

std::string RefusalJson(const Refusal& refusal) {
  return absl::StrFormat(
      R"({"time": %d, "client": %s, "helo": %s, "command": %s, "reply": %s})",
      refusal.time_s, JsonQuoted(refusal.client.view()),
      JsonQuoted(refusal.helo.view()), JsonQuoted(refusal.command.view()),
      JsonQuoted(refusal.reply.view()));
}

// The latest first.
std::string RefusalsJson(std::vector<Refusal> refusals) {
  std::stable_sort(
      refusals.begin(), refusals.end(),
      [](const Refusal& a, const Refusal& b) { return a.time_s < b.time_s; });
  std::reverse(refusals.begin(), refusals.end());
  if (refusals.size() > StatusFacts::kMaxRefusalsShown) {
    refusals.resize(StatusFacts::kMaxRefusalsShown);
  }
  return JsonList(refusals, &RefusalJson);
}

std::string SenderRow(const Sender& sender) {
  return absl::StrFormat(
      R"({"network": "%s", "helo": %s, "messages": {"none": %d, )"
      R"("TLSv1": %d, "TLSv1.1": %d}, "failed_handshakes": %d, )"
      R"("last_seen": %d, "weak_sessions": %d, "all_messages": %d, )"
      R"("all_sessions": %d})",
      FormatSenderNetwork(sender.network), JsonQuoted(sender.helo.view()),
      sender.messages[0], sender.messages[1], sender.messages[2],
      sender.failed_handshakes, sender.last_s(), WeakSessions(sender),
      sender.all_messages(), sender.all_sessions());
}

std::string ReportJson(const TlsReport& report) {
  std::vector<Sender> weak;
  for (const Sender& sender : report.senders) {
    if (IsWeak(sender)) weak.push_back(sender);
  }
  const size_t weak_senders = weak.size();
  weak.resize(std::min(weak.size(), StatusFacts::kMaxSendersShown));
  std::vector<Sender> talkers = report.senders;
  std::stable_sort(talkers.begin(), talkers.end(),
                   [](const Sender& a, const Sender& b) {
                     return a.all_messages() > b.all_messages();
                   });
  talkers.resize(std::min(talkers.size(), StatusFacts::kMaxSendersShown));
  const auto what_if = [](const StricterSetting& setting) {
    return absl::StrFormat(
        R"({"setting": "%s", "messages_refused": %d, "senders": %d, )"
        R"("senders_cut_off": %d})",
        setting.setting, setting.messages, setting.senders,
        setting.senders_cut_off);
  };
  return absl::StrFormat(
      R"({"since": %d, "senders_known": %d, "weak_senders": %d, "weak": %s, )"
      R"("what_if": %s, "talkers": %s})",
      report.since_s, report.known, weak_senders, JsonList(weak, &SenderRow),
      JsonList(report.what_if, what_if), JsonList(talkers, &SenderRow));
}

std::string SessionJson(const SessionFacts& session) {
  return absl::StrFormat(
      R"({"client": "%s", "name": %s, "helo": %s, "state": "%s", )"
      R"("command": "%s", "tls": "%s", "cipher": "%s", "age_s": %.1f, )"
      R"("transactions": %d, "messages": %d, "errors": %d})",
      session.client, JsonQuoted(session.client_name), JsonQuoted(session.helo),
      session.state, session.command,
      kTlsUseLabels[static_cast<size_t>(session.tls)], session.cipher,
      io::ToSeconds(session.age), session.transactions, session.messages,
      session.errors);
}

std::string TargetJson(const TargetFacts& target) {
  return absl::StrFormat(
      R"({"address": %s, "up": %s, "open": %d, "lent": %d, "idle": %d, )"
      R"("dialing": %d, "retry_in_s": %.1f, "identities": "%s"})",
      JsonQuoted(target.address), target.up ? "true" : "false", target.open,
      target.lent, target.idle, target.dialing, io::ToSeconds(target.retry_in),
      target.identities);
}

std::string WorkerJson(const WorkerReport& worker) {
  return absl::StrFormat(
      R"({"sessions": %d, "open": %d, "idle": %d, "waiting": %d, )"
      R"("targets": %s})",
      worker.sessions, worker.backend_open, worker.backend_idle,
      worker.backend_waiting, JsonList(worker.targets, &TargetJson));
}

}  // namespace

std::string FormatStatusJson(const StatusFacts& facts,
                             const StatusHistory& history) {
  const MetricsSnapshot& metrics = facts.metrics;
  std::string json = absl::StrFormat(
      "{\"now\": %d, \"started\": %d, \"version\": \"%s\", \"hostname\": %s, "
      "\"state\": \"%s\",\n\"io_engine\": \"%s\", \"workers\": %d, "
      "\"workers_silent\": %d, \"reload_successful\": %s,\n",
      facts.now_s, metrics.start_time_s, ProgramVersion(),
      JsonQuoted(facts.hostname), facts.state, metrics.io_engine,
      metrics.workers, metrics.workers_silent,
      metrics.tls_last_reload_successful != 0 ? "true" : "false");
  absl::StrAppendFormat(
      &json, "\"clients\": {\"open\": %d, \"max\": %d},\n\"pool\": %s,\n",
      metrics.client_sessions, metrics.client_sessions_max, PoolJson(metrics));
  absl::StrAppendFormat(&json, "\"backends\": %s,\n\"certificates\": %s,\n",
                        JsonList(metrics.backends, &BackendJson),
                        JsonList(metrics.certificates, &CertificateJson));
  absl::StrAppendFormat(
      &json, "\"tls\": %s,\n\"watch\": %s,\n\"limits\": %s,\n",
      TlsJson(metrics.counters), WatchJson(metrics),
      CountsJson(kLimitLabels,
                 history.LimitsSince(StatusHistory::kSamples).values));
  absl::StrAppendFormat(
      &json,
      "\"phases_last_5_minutes\": %s,\n\"phases_last_hour\": %s,\n"
      "\"tls_report\": %s,\n\"refusals\": %s,\n\"history\": %s}\n",
      PhasesJson(history.PhasesSince(kFiveMinutes)),
      PhasesJson(history.PhasesSince(StatusHistory::kSamples)),
      ReportJson(facts.report), RefusalsJson(facts.refusals),
      HistoryJson(history));
  return json;
}

std::string FormatSessionsJson(const std::vector<SessionFacts>& sessions,
                               size_t open) {
  std::string json = absl::StrFormat(
      "{\"open\": %d, \"listed\": %d,\n\"sessions\": [", open, sessions.size());
  std::string_view separator = "\n  ";
  for (const SessionFacts& session : sessions) {
    json += separator;
    separator = ",\n  ";
    json += SessionJson(session);
  }
  return json + "\n]}\n";
}

std::string FormatPoolsJson(const std::vector<WorkerReport>& workers,
                            int64_t used, int64_t max) {
  return absl::StrFormat(
      "{\"backend_connections\": %d, \"backend_connections_max\": %d,\n"
      "\"workers\": %s}\n",
      used, max, JsonList(workers, &WorkerJson));
}

}  // namespace tlspost
