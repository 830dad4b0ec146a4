// What the status page shows, as JSON; and the lists of sessions and pools.
//
// Writes what it is given and collects nothing (server_status.cc does).

#ifndef TLSPOST_PROXY_STATUS_JSON_H_
#define TLSPOST_PROXY_STATUS_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proxy/metrics.h"
#include "proxy/recent_refusals.h"
#include "proxy/session_facts.h"
#include "proxy/status_history.h"
#include "proxy/tls_report.h"
#include "proxy/worker_facts.h"

namespace tlspost {

struct StatusFacts {
  // Of each kind, the page shows so many.
  static constexpr size_t kMaxSendersShown = 10;
  static constexpr size_t kMaxRefusalsShown = 20;

  int64_t now_s = 0;  // since 1970
  std::string hostname;
  std::string_view state;  // "ready", "draining", "backend down"
  MetricsSnapshot metrics;
  TlsReport report;
  std::vector<Refusal> refusals;  // of all workers, in any order
};

std::string FormatStatusJson(const StatusFacts& facts,
                             const StatusHistory& history);

// `sessions`: as many as are listed, of `open`.
std::string FormatSessionsJson(const std::vector<SessionFacts>& sessions,
                               size_t open);

// `workers`: the reports of those that have one.
std::string FormatPoolsJson(const std::vector<WorkerReport>& workers,
                            int64_t used, int64_t max);

}  // namespace tlspost

#endif  // TLSPOST_PROXY_STATUS_JSON_H_
