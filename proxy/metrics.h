// The metrics of a process, in Prometheus's text format (version 0.0.4).
//
// Each is declared once: the counters in counters.h, the gauges here, and what
// has another name or labels of its own in metrics.cc. It writes what it is
// given and collects nothing (server_admin.cc does).

#ifndef TLSPOST_PROXY_METRICS_H_
#define TLSPOST_PROXY_METRICS_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "common/tls/certificate_facts.h"
#include "proxy/counters.h"

namespace tlspost {

// GAUGE(name, what it shows now)
#define TLSPOST_GAUGES(GAUGE)                                                 \
  GAUGE(client_sessions, "client sessions open")                              \
  GAUGE(client_sessions_max, "client sessions that may be open")              \
  GAUGE(backend_connections,                                                  \
        "backend connections open, being opened or ended")                    \
  GAUGE(backend_connections_max, "backend connections that there may be")     \
  GAUGE(backend_connections_idle, "backend connections waiting for work")     \
  GAUGE(backend_waiting, "transactions waiting for a backend connection")     \
  GAUGE(backend_up, "whether a worker reaches the backend: 1 or 0")           \
  GAUGE(draining, "whether SIGTERM has come: 1 or 0")                         \
  GAUGE(workers, "worker threads that serve")                                 \
  GAUGE(coroutine_frames, "coroutines that live: sessions, and what they do") \
  GAUGE(coroutine_frame_octets, "memory that these use")                      \
  GAUGE(receive_blocks, "blocks of memory with received octets in them")      \
  GAUGE(workers_silent, "worker threads that do not answer for a second")     \
  GAUGE(tls_last_reload_successful,                                           \
        "whether certificates could be loaded when last tried: 1 or 0")       \
  GAUGE(tls_last_reload_timestamp_seconds,                                    \
        "when certificates were loaded, or began to be bad")

// One address that backend connections go to, over all workers.
struct BackendFacts {
  std::string address;
  bool up = false;  // at least one worker reaches it
  int open = 0;     // connections
  int lent = 0;     // of these, to a transaction
  int idle = 0;     // of these, waiting for work
};

struct MetricsSnapshot {
  Counters counters;
#define TLSPOST_DECLARE_GAUGE(name, text) int64_t name = 0;
  TLSPOST_GAUGES(TLSPOST_DECLARE_GAUGE)
#undef TLSPOST_DECLARE_GAUGE

  std::vector<BackendFacts> backends;
  std::string_view io_engine;  // io_uring or epoll
  int64_t log_lines_dropped = 0;
  int64_t start_time_s = 0;  // since 1970
  std::vector<tls::CertificateFacts> certificates;
};

inline constexpr std::string_view kMetricsContentType =
    "text/plain; version=0.0.4; charset=utf-8";

// "0.1.0"
std::string_view ProgramVersion();

std::string FormatMetrics(const MetricsSnapshot& snapshot);

// All names that FormatMetrics may write: what dashboards and alerts can use.
// A histogram's are those with _bucket, _sum and _count.
std::vector<std::string> MetricNames();

// The Markdown table between the markers in README.md.
inline constexpr std::string_view kMetricsTableBegin = "<!-- metrics:begin -->";
inline constexpr std::string_view kMetricsTableEnd = "<!-- metrics:end -->";
std::string FormatMetricsTable();

}  // namespace tlspost

#endif  // TLSPOST_PROXY_METRICS_H_
