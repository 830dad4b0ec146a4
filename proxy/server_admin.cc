// What the administrator can ask a running Server.
//
// Numbers and health here, pages with more on them in server_status.cc.

#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/io/listen_socket.h"
#include "proxy/server.h"
#include "proxy/server_inquiry.h"
#include "proxy/server_thread.h"

namespace tlspost {
namespace {

constexpr std::string_view kReady = "ready";

// Around a reload two workers may have different targets.
void AddTargets(const std::vector<TargetFacts>& targets,
                std::vector<BackendFacts>& backends) {
  for (const TargetFacts& target : targets) {
    auto sum = std::find_if(backends.begin(), backends.end(),
                            [&target](const BackendFacts& backend) {
                              return backend.address == target.address;
                            });
    if (sum == backends.end()) {
      sum = backends.emplace(backends.end());
      sum->address = target.address;
    }
    sum->up = sum->up || target.up;
    sum->open += target.open;
    sum->lent += target.lent;
    sum->idle += target.idle;
  }
}

}  // namespace

// Ours from the start, so that it can be handed over.
absl::Status Server::OpenAdminSocket(const io::Endpoint& endpoint) {
  io::Descriptor socket = sockets_.Claim(endpoint);
  if (!socket) {
    io::ListenOptions options;
    options.backlog = AdminServer::kMaxConnections;
    options.reuse_port = false;
    const auto opened = io::OpenListenSocket(endpoint, options);
    if (!opened.ok()) return opened.status();
    socket = io::Descriptor(*opened);
  }
  admin_sockets_.push_back(std::move(socket));
  return absl::OkStatus();
}

void Server::StopAdmin() {
  const std::lock_guard<std::mutex> lock(admin_mutex_);
  if (admin_ != nullptr) admin_->Stop();
}

absl::Status Server::StartAdmin() {
  if (admin_addresses_.empty()) return absl::OkStatus();
  reports_.resize(threads_.size());
  admin_http_.AddPage("/metrics", [this] {
    return AdminPage{200, std::string(kMetricsContentType),
                     FormatMetrics(Metrics())};
  });
  admin_http_.AddPage("/healthz", [this] { return HealthPage(); });
  admin_http_.AddPage("/readyz", [this] { return ReadyPage(); });
  AddStatusPages();
  const std::lock_guard<std::mutex> lock(admin_mutex_);
  admin_ = std::make_unique<AdminThread>();
  std::vector<io::Descriptor> sockets;
  for (const io::Descriptor& socket : admin_sockets_) {
    sockets.emplace_back(io::DuplicateSocket(socket.get()));
  }
  auto bound = admin_->Start(
      std::move(loops_.loops.back()), admin_addresses_,
      [this](std::string_view head) { return admin_http_.Answer(head); },
      StatusHistory::kInterval, [this] { TakeSample(); }, std::move(sockets));
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

// Of one that has ended there are the counters that it has left.
void Server::AskWorkers() {
  const auto reports =
      Ask<WorkerReport>([](Worker& worker) { return worker.Report(); });
  serving_workers_ = 0;
  silent_workers_ = 0;
  for (size_t i = 0; i < reports.size(); ++i) {
    Thread& thread = *threads_[i];
    const std::lock_guard<std::mutex> lock(thread.mutex);
    const bool serves = thread.loop != nullptr;
    if (serves) ++serving_workers_;
    if (reports[i].has_value()) {
      reports_[i] = *reports[i];
    } else if (serves) {
      ++silent_workers_;
    } else {
      reports_[i] = WorkerReport();
      reports_[i].counters = thread.counters;
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
    AddTargets(report.targets, snapshot.backends);
    snapshot.coroutine_frames += report.frames.frames;
    snapshot.coroutine_frame_octets += report.frames.bytes;
    snapshot.receive_blocks += report.blocks;
  }
  snapshot.counters.tls_reloads = reloader_->reloads();
  snapshot.counters.tls_reload_failures = reloader_->failures();
  snapshot.tls_last_reload_successful = reloader_->last_successful() ? 1 : 0;
  snapshot.tls_last_reload_timestamp_seconds = reloader_->last_time_s();
  snapshot.client_sessions = shared_->connections.count();
  snapshot.client_sessions_max = shared_->connections.max();
  snapshot.backend_connections = shared_->slots.used();
  snapshot.backend_connections_max = shared_->slots.max();
  snapshot.io_engine = io::NameOf(loops_.engine);
  snapshot.draining = draining_ ? 1 : 0;
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

std::string_view Server::StateOf(const MetricsSnapshot& snapshot) {
  if (snapshot.draining != 0) return "draining";
  return snapshot.backend_up == 0 ? "backend down" : kReady;
}

AdminPage Server::ReadyPage() {
  const std::string_view state = StateOf(Metrics());
  AdminPage page;
  page.status = state == kReady ? 200 : 503;
  page.body = std::string(state) + "\n";
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
