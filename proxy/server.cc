// Start-up checks and the worker threads.

#include "proxy/server.h"

#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <future>
#include <iterator>
#include <utility>

#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/io/ares_resolver.h"
#include "common/io/listen_socket.h"
#include "common/io/memory_limit.h"
#include "common/io/uring.h"
#include "proxy/memory_budget.h"
#include "proxy/server_thread.h"
#include "proxy/startup.h"

namespace tlspost {
namespace {

// For the log's last lines before an exit that nothing else waits for.
constexpr std::chrono::milliseconds kLastLogLines(200);

// Distinguishes the ids of this process from those of the one before.
std::string RandomInstance() {
  uint32_t bits = 0;
  if (getrandom(&bits, sizeof(bits), 0) != sizeof(bits)) {
    bits = static_cast<uint32_t>(getpid());
  }
  return absl::StrFormat("%08X", bits);
}

int64_t SecondsSinceEpoch() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

}  // namespace

Server::Server(Settings settings, Log& log)
    : settings_(std::move(settings)),
      log_(log),
      worker_count_(WorkerCount(settings_)),
      instance_(RandomInstance()),
      start_time_s_(SecondsSinceEpoch()),
      tls_loader_(settings_, static_cast<size_t>(worker_count_)) {}

Server::~Server() {
  Wait();
  // What it hands its loads to goes before it does.
  if (reloader_ != nullptr) reloader_->Stop();
}

void Server::UseCertificate(std::string cert_pem, std::string key_pem) {
  tls_loader_.UseCertificate(std::move(cert_pem), std::move(key_pem));
}

// --- what can be known before serving -------------------------------------

absl::Status Server::LoadTls() {
  const absl::Status loaded = tls_loader_.Load(tls_);
  if (!loaded.ok()) return loaded;
  for (const std::string& warning : tls_.warnings) log_.Warning(warning);
  NoteCertificates(tls_.workers);
  return absl::OkStatus();
}

absl::Status Server::ResolveListeners() {
  for (const ListenText& from : ListenTextsOf(settings_)) {
    const size_t known = listen_.size();
    const absl::Status added = AddListenAddresses(from, listen_);
    if (!added.ok()) return added;
    for (size_t i = known; i < listen_.size(); ++i) {
      const absl::Status is_free = io::CheckNotInUse(listen_[i].endpoint);
      if (!is_free.ok()) return InSetting(from.setting, is_free);
    }
  }
  return absl::OkStatus();
}

absl::Status Server::ResolveBackends() {
  for (const std::string& text : settings_.backend) {
    const auto addresses = ResolveBackend(text);
    if (!addresses.ok()) return addresses.status();
    for (const BackendAddress& address : *addresses) {
      const absl::Status is_other = CheckIsOther(address, listen_);
      if (!is_other.ok()) return is_other;
      backend_addresses_.push_back(address);
    }
  }
  return absl::OkStatus();
}

absl::Status Server::ResolveAdmin() {
  auto endpoints = ResolveAdminListen(settings_);
  if (!endpoints.ok()) return endpoints.status();
  for (const io::Endpoint& endpoint : *endpoints) {
    const absl::Status is_free = io::CheckNotInUse(endpoint);
    if (!is_free.ok()) return InSetting("admin_listen", is_free);
  }
  admin_addresses_ = *std::move(endpoints);
  return absl::OkStatus();
}

absl::Status Server::FitDescriptorLimit() {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    getrlimit(RLIMIT_NOFILE, &limit);
  }
  std::string warning;
  const auto clients =
      ClientsWithin(limit.rlim_cur, settings_, listen_.size(), &warning);
  if (!clients.ok()) return clients.status();
  if (!warning.empty()) log_.Warning(warning);
  settings_.max_connections = *clients;
  return absl::OkStatus();
}

void Server::SayMemory() {
  const std::vector<MemoryTerm> terms =
      WorstCaseMemory(settings_, worker_count_, settings_.max_connections);
  log_.Info("memory: " + DescribeMemory(terms));
  const std::string warning = MemoryWarning(terms, io::FindMemoryLimit());
  if (!warning.empty()) log_.Warning("memory: " + warning);
}

// --- threads --------------------------------------------------------------

absl::Status Server::Start() {
  for (const absl::Status& status :
       {LoadTls(), ResolveListeners(), ResolveBackends(), ResolveAdmin(),
        FitDescriptorLimit()}) {
    if (!status.ok()) return status;
  }
  // Behind the errors: who reads one has no eye for what is merely unwise.
  for (const std::string& warning : SettingsWarnings(settings_)) {
    log_.Warning(warning);
  }
  SayMemory();
  shared_ = std::make_unique<WorkerShared>(settings_, backend_addresses_,
                                           worker_count_, log_);
  shared_->notes.own_mark = instance_;
  absl::Status result = StartResolver();
  if (!result.ok()) return result;
  for (int number = 0; number < worker_count_; ++number) {
    threads_.push_back(std::make_unique<Thread>());
    Thread& thread = *threads_.back();
    thread.thread =
        std::thread([this, &thread, number] { RunWorker(thread, number); });
    result = thread.listening.get_future().get();
    if (!result.ok()) break;
    // With port 0 the first worker's port is everybody's.
    listen_ = thread.listening_on;
  }
  // Made before the administrator can ask it; it loads nothing yet.
  reloader_ = std::make_unique<TlsReloader>(
      tls_loader_, log_, settings_.tls_session_cache_timeout,
      [this](std::vector<WorkerTls> workers) { UseTls(std::move(workers)); });
  if (result.ok()) result = StartAdmin();
  if (result.ok()) result = on_bound_();
  for (const auto& thread : threads_) thread->go.set_value(result.ok());
  if (!result.ok()) return result;
  for (const ListenAddress& address : listen_) {
    log_.Info(absl::StrFormat("listening on %s%s", address.endpoint.ToString(),
                              address.implicit_tls ? " (TLS)" : ""));
  }
  reloader_->Start(std::move(tls_.files));
  tls_ = TlsLoader::Loaded();
  log_.Info(absl::StrFormat("ready: %d workers, backend %s", worker_count_,
                            absl::StrJoin(settings_.backend, ", ")));
  return absl::OkStatus();
}

// Where no listener wants names there is no thread for them.
absl::Status Server::StartResolver() {
  const bool wanted = std::any_of(
      shared_->terms.begin(), shared_->terms.end(),
      [](const auto& terms) { return terms->settings.peername_lookup; });
  if (!wanted) return absl::OkStatus();
  io::AresOptions options;
  options.servers = settings_.dns_servers;
  auto resolver = io::CreateAresResolver(options);
  if (!resolver.ok()) return InSetting("dns_servers", resolver.status());
  resolver_ = *std::move(resolver);
  shared_->resolver = resolver_.get();
  return absl::OkStatus();
}

void Server::RunWorker(Thread& thread, size_t number) {
  auto loop = io::CreateUringLoop(io::UringOptions());
  if (!loop.ok()) {
    thread.listening.set_value(loop.status());
    return;
  }
  Worker worker(**loop, *shared_, std::move(tls_.workers[number]),
                absl::StrFormat("%s%02X", instance_, number));
  const absl::Status listening = worker.Listen(listen_);
  if (listening.ok()) {
    thread.listening_on = worker.listening();
    const std::lock_guard<std::mutex> lock(thread.mutex);
    thread.worker = &worker;
    thread.loop = loop->get();
  }
  thread.listening.set_value(listening);
  if (!listening.ok() || !thread.go.get_future().get()) {
    const std::lock_guard<std::mutex> lock(thread.mutex);
    thread.loop = nullptr;
    return;
  }
  worker.Start();
  (*loop)->Run();
  const std::lock_guard<std::mutex> lock(thread.mutex);
  thread.loop = nullptr;
  thread.counters = worker.counters();
  thread.clean = worker.clean();
  if (worker.clean()) return;
  // Something could not be unwound, and its memory may still be in use: there
  // is no orderly way out. The log gets a moment to be written.
  log_.Error("some connections could not be closed in time; exiting");
  std::this_thread::sleep_for(kLastLogLines);
  _exit(1);
}

void Server::Reload() {
  if (reloader_ != nullptr) reloader_->Request();
}

void Server::UseTls(std::vector<WorkerTls> workers) {
  NoteCertificates(workers);
  for (size_t i = 0; i < threads_.size(); ++i) {
    Thread& thread = *threads_[i];
    const std::lock_guard<std::mutex> lock(thread.mutex);
    if (thread.loop == nullptr) continue;
    thread.loop->PostRemote(
        [&thread, tls = std::move(workers[i])] { thread.worker->UseTls(tls); });
  }
}

void Server::Terminate() {
  if (terminations_.fetch_add(1) > 0) {
    // The administrator has asked twice: no more courtesy.
    _exit(1);
  }
  log_.Info("draining: no new clients, open transactions may finish");
  for (const auto& thread : threads_) {
    const std::lock_guard<std::mutex> lock(thread->mutex);
    if (thread->loop == nullptr) continue;
    thread->loop->PostRemote([&thread] { thread->worker->Drain(); });
  }
}

bool Server::Wait() {
  bool clean = true;
  for (const auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
    clean = clean && thread->clean;
  }
  // Until now somebody may have watched the drain.
  if (admin_ != nullptr) admin_->Stop();
  return clean;
}

Counters Server::TotalCounters() const {
  Counters total;
  for (const auto& thread : threads_) total += thread->counters;
  if (reloader_ != nullptr) {
    total.tls_reloads = reloader_->reloads();
    total.tls_reload_failures = reloader_->failures();
  }
  return total;
}

}  // namespace tlspost
