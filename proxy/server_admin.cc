// What the administrator can ask a running Server.
//
// A worker's counters and pool are its own thread's: each is asked by a
// message for a report, so that nothing on the way of a mail is shared or
// locked for it.

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "proxy/server.h"
#include "proxy/server_thread.h"

namespace tlspost {
namespace {

// A worker's turn lasts milliseconds; one that takes longer is stuck.
constexpr std::chrono::seconds kReportTimeout(1);

}  // namespace

// The reports as they come in. Shared with the workers, which may answer when
// nobody waits any more.
class Server::Inquiry {
 public:
  explicit Inquiry(size_t workers) : reports_(workers), missing_(workers) {}

  void Put(size_t number, WorkerReport report) {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      reports_[number] = std::move(report);
      --missing_;
    }
    all_here_.notify_one();
  }

  std::vector<std::optional<WorkerReport>> Wait() {
    std::unique_lock<std::mutex> lock(mutex_);
    all_here_.wait_for(lock, kReportTimeout, [this] { return missing_ == 0; });
    return reports_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable all_here_;
  std::vector<std::optional<WorkerReport>> reports_;
  size_t missing_;
};

absl::Status Server::StartAdmin() {
  if (admin_addresses_.empty()) return absl::OkStatus();
  reports_.resize(threads_.size());
  admin_http_.AddPage("/metrics", [this] {
    return AdminPage{200, std::string(kMetricsContentType),
                     FormatMetrics(Metrics())};
  });
  admin_http_.AddPage("/healthz", [this] { return HealthPage(); });
  admin_http_.AddPage("/readyz", [this] { return ReadyPage(); });
  admin_ = std::make_unique<AdminThread>();
  auto bound = admin_->Start(admin_addresses_, [this](std::string_view head) {
    return admin_http_.Answer(head);
  });
  if (!bound.ok()) {
    return MakeStatus(
        bound.status().code(),
        absl::StrFormat("admin_listen: %s", MessageOf(bound.status())));
  }
  admin_addresses_ = *std::move(bound);
  for (const io::Endpoint& address : admin_addresses_) {
    log_.Info(
        absl::StrFormat("metrics on http://%s/metrics", address.ToString()));
  }
  return absl::OkStatus();
}

void Server::AskWorkers() {
  const auto inquiry = std::make_shared<Inquiry>(threads_.size());
  serving_workers_ = 0;
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = *threads_[i];
    const std::lock_guard<std::mutex> lock(thread.mutex);
    if (thread.loop == nullptr) {
      WorkerReport last;
      last.counters = thread.counters;
      inquiry->Put(i, std::move(last));
      continue;
    }
    ++serving_workers_;
    thread.loop->PostRemote(
        [inquiry, i, &thread] { inquiry->Put(i, thread.worker->Report()); });
  }
  silent_workers_ = 0;
  const auto reports = inquiry->Wait();
  for (size_t i = 0; i < reports.size(); ++i) {
    if (reports[i].has_value()) {
      reports_[i] = *reports[i];
    } else {
      ++silent_workers_;
    }
  }
}

MetricsSnapshot Server::Metrics() {
  AskWorkers();
  MetricsSnapshot snapshot;
  for (const WorkerReport& report : reports_) {
    snapshot.counters += report.counters;
    snapshot.backend_connections_idle += report.backend_idle;
    snapshot.backend_waiting += report.backend_waiting;
    if (report.reaches_backend) snapshot.backend_up = 1;
    snapshot.coroutine_frames += report.frames.frames;
    snapshot.coroutine_frame_octets += report.frames.bytes;
    snapshot.receive_blocks += report.blocks;
  }
  snapshot.counters.tls_reloads = reloader_->reloads();
  snapshot.counters.tls_reload_failures = reloader_->failures();
  snapshot.tls_last_reload_successful = reloader_->last_successful() ? 1 : 0;
  snapshot.tls_last_reload_timestamp_seconds = reloader_->last_time_s();
  snapshot.client_sessions = shared_->connections.count();
  snapshot.client_sessions_max = settings_.max_connections;
  snapshot.backend_connections = shared_->slots.used();
  snapshot.backend_connections_max = shared_->slots.max();
  snapshot.draining = terminations_ > 0 ? 1 : 0;
  snapshot.workers = serving_workers_;
  snapshot.workers_silent = silent_workers_;
  snapshot.log_lines_dropped = static_cast<int64_t>(log_.dropped());
  snapshot.start_time_s = start_time_s_;
  const std::lock_guard<std::mutex> lock(certificates_mutex_);
  snapshot.certificates = certificates_;
  return snapshot;
}

AdminPage Server::HealthPage() {
  AskWorkers();
  AdminPage page;
  page.body = "ok\n";
  if (silent_workers_ > 0) {
    page.status = 503;
    page.body = absl::StrFormat("%d of %d workers do not answer\n",
                                silent_workers_, threads_.size());
  }
  return page;
}

AdminPage Server::ReadyPage() {
  const MetricsSnapshot snapshot = Metrics();
  AdminPage page;
  page.status = 503;
  if (snapshot.draining != 0) {
    page.body = "draining\n";
  } else if (snapshot.backend_up == 0) {
    page.body = "backend down\n";
  } else {
    page.status = 200;
    page.body = "ready\n";
  }
  return page;
}

void Server::NoteCertificates(const std::vector<WorkerTls>& workers) {
  // All workers have the same ones, and none has begun to use them.
  const auto& clients = workers.front().clients;
  const std::lock_guard<std::mutex> lock(certificates_mutex_);
  certificates_ = clients == nullptr ? std::vector<tls::CertificateFacts>()
                                     : clients->certificates();
}

}  // namespace tlspost
