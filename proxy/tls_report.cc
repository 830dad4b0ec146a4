// Sums, order, and the two forms of the report.

#include "proxy/tls_report.h"

#include <algorithm>
#include <chrono>
#include <map>
#include <numeric>
#include <tuple>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/time/time.h"
#include "common/smtp/text.h"
#include "proxy/json_text.h"

namespace tlspost {
namespace {

constexpr std::array<StricterSetting, 3> kStricter = {{
    {"tls_security_level = encrypt", TlsUse::kTls10},
    {"tls_security_level = encrypt, tls_protocols = >=TLSv1.2", TlsUse::kTls12},
    {"tls_security_level = encrypt, tls_protocols = >=TLSv1.3", TlsUse::kTls13},
}};

// Of what is below `first`, or not below it.
uint32_t SumBelow(const Sender::ByTls& counts, TlsUse first) {
  return std::accumulate(counts.begin(),
                         counts.begin() + static_cast<ptrdiff_t>(first), 0U);
}

uint32_t SumFrom(const Sender::ByTls& counts, TlsUse first) {
  return std::accumulate(counts.begin() + static_cast<ptrdiff_t>(first),
                         counts.end(), 0U);
}

void AddTo(StricterSetting& setting, const Sender& sender) {
  const uint32_t refused = SumBelow(sender.messages, setting.first_allowed);
  if (refused == 0) return;
  ++setting.senders;
  if (SumFrom(sender.sessions, setting.first_allowed) == 0) {
    ++setting.senders_cut_off;
  }
  setting.messages += refused;
}

bool ComesFirst(const Sender& a, const Sender& b) {
  const auto rank = [](const Sender& sender) {
    return std::tuple(SumBelow(sender.messages, TlsUse::kTls12),
                      sender.failed_handshakes, IsWeak(sender),
                      sender.all_messages(), sender.last_s());
  };
  return rank(a) > rank(b);
}

// {"none": 1, "TLSv1": 0, ...}
template <typename Counts>
std::string ByTlsJson(const Counts& counts) {
  std::string json = "{";
  for (size_t i = 0; i < kTlsUseLabels.size(); ++i) {
    absl::StrAppendFormat(&json, "%s\"%s\": %d", i == 0 ? "" : ", ",
                          kTlsUseLabels[i], counts[i]);
  }
  return json + "}";
}

std::string SenderJson(const Sender& sender) {
  return absl::StrFormat(
      R"({"network": "%s", "helo": %s, "weak": %s, "last_seen": %d, )"
      R"("messages": %s, "sessions": %s, "last_seen_by_tls": %s, )"
      R"("failed_handshakes": %d, "last_failed_handshake": %d})",
      FormatSenderNetwork(sender.network), JsonQuoted(sender.helo.view()),
      IsWeak(sender) ? "true" : "false", sender.last_s(),
      ByTlsJson(sender.messages), ByTlsJson(sender.sessions),
      ByTlsJson(sender.last_seen_s), sender.failed_handshakes,
      sender.last_failed_s);
}

std::string DateOf(int64_t seconds) {
  return absl::FormatTime("%Y-%m-%d %H:%M", absl::FromUnixSeconds(seconds),
                          absl::UTCTimeZone());
}

std::string WhatIfText(const TlsReport& report) {
  const uint32_t all = SumFrom(report.messages, TlsUse::kNone);
  std::string text = "\nWhat would have been refused of these messages:\n";
  for (const StricterSetting& setting : report.what_if) {
    absl::StrAppendFormat(&text,
                          "  %-56s %d of %d, from %d senders (%d cut off)\n",
                          setting.setting, setting.messages, all,
                          setting.senders, setting.senders_cut_off);
  }
  return text;
}

}  // namespace

uint32_t WeakSessions(const Sender& sender) {
  return SumBelow(sender.sessions, TlsUse::kTls12);
}

bool IsWeak(const Sender& sender) {
  return WeakSessions(sender) > 0 || sender.failed_handshakes > 0;
}

TlsReport MakeTlsReport(const std::vector<SenderList>& workers, int64_t since_s,
                        int64_t now_s) {
  TlsReport report;
  report.since_s = since_s;
  report.now_s = now_s;
  report.what_if = kStricter;
  std::map<std::pair<io::AddressBytes, std::string_view>, Sender> sums;
  for (const SenderList& worker : workers) {
    report.forgotten += worker.forgotten;
    for (const Sender& sender : worker.senders) {
      const auto [sum, is_new] =
          sums.emplace(std::pair(sender.network, sender.helo.view()), sender);
      if (!is_new) sum->second.Add(sender);
    }
  }
  for (const auto& [key, sender] : sums) {
    for (size_t i = 0; i < kTlsUseLabels.size(); ++i) {
      report.messages[i] += sender.messages[i];
      report.sessions[i] += sender.sessions[i];
    }
    for (StricterSetting& setting : report.what_if) AddTo(setting, sender);
    report.senders.push_back(sender);
  }
  report.known = report.senders.size();
  std::sort(report.senders.begin(), report.senders.end(), &ComesFirst);
  if (report.senders.size() > TlsReport::kMaxListed) {
    report.senders.resize(TlsReport::kMaxListed);
  }
  return report;
}

std::string FormatTlsReportJson(const TlsReport& report) {
  std::string json = absl::StrFormat(
      "{\"since\": %d, \"now\": %d, \"senders_known\": %d, "
      "\"senders_forgotten\": %d,\n\"messages\": %s,\n\"sessions\": %s,\n"
      "\"what_if\": [",
      report.since_s, report.now_s, report.known, report.forgotten,
      ByTlsJson(report.messages), ByTlsJson(report.sessions));
  std::string_view separator = "\n  ";
  for (const StricterSetting& setting : report.what_if) {
    json += separator;
    separator = ",\n  ";
    absl::StrAppendFormat(&json,
                          R"({"setting": "%s", "messages_refused": %d, )"
                          R"("senders": %d, "senders_cut_off": %d})",
                          setting.setting, setting.messages, setting.senders,
                          setting.senders_cut_off);
  }
  json += "\n],\n\"senders\": [";
  separator = "\n  ";
  for (const Sender& sender : report.senders) {
    json += separator;
    separator = ",\n  ";
    json += SenderJson(sender);
  }
  return json + "\n]}\n";
}

std::string FormatTlsReportText(const TlsReport& report) {
  std::string text = absl::StrFormat(
      "From %s to %s UTC: %d messages from %d senders, %d of them without "
      "TLS.\n",
      DateOf(report.since_s), DateOf(report.now_s),
      SumFrom(report.messages, TlsUse::kNone), report.known,
      report.messages.front());
  if (report.forgotten > 0) {
    absl::StrAppendFormat(
        &text, "%d senders that were not seen for long are forgotten.\n",
        report.forgotten);
  }
  size_t printed = 0;
  size_t weak = 0;
  for (const Sender& sender : report.senders) {
    if (!IsWeak(sender)) continue;
    if (++weak == 1) {
      absl::StrAppendFormat(
          &text, "\n%-22s %-30s %-16s  %7s %7s %7s %7s %7s %8s %7s\n",
          "network", "HELO", "last seen", "none", "TLSv1", "TLSv1.1", "TLSv1.2",
          "TLSv1.3", "sessions", "failed");
    }
    if (printed == TlsReport::kMaxPrinted) continue;
    ++printed;
    const std::string helo = smtp::SanitizeForHeader(sender.helo.view());
    absl::StrAppendFormat(
        &text, "%-22s %-30s %-16s  %7d %7d %7d %7d %7d %8d %7d\n",
        FormatSenderNetwork(sender.network), helo.empty() ? "-" : helo,
        DateOf(sender.last_s()), sender.messages[0], sender.messages[1],
        sender.messages[2], sender.messages[3], sender.messages[4],
        WeakSessions(sender), sender.failed_handshakes);
  }
  if (weak == 0) {
    text += "\nNobody was without TLS, or in a version before 1.2.\n";
  } else if (weak > printed) {
    absl::StrAppendFormat(&text, "and %d more (--json has them)\n",
                          weak - printed);
  }
  return text + WhatIfText(report);
}

}  // namespace tlspost
