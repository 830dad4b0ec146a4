// Start-up checks and the worker threads.

#include "proxy/server.h"

#include <sys/random.h>
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
#include "proxy/memory_budget.h"
#include "proxy/server_draft.h"
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
      tls_loader_(settings_, static_cast<size_t>(worker_count_)),
      sockets_(static_cast<size_t>(worker_count_)) {}

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

absl::Status Server::ResolveAdmin() {
  auto endpoints = ResolveAdminListen(settings_);
  if (!endpoints.ok()) return endpoints.status();
  for (const io::Endpoint& endpoint : *endpoints) {
    const absl::Status open = OpenAdminSocket(endpoint);
    if (!open.ok()) return InSetting("admin_listen", open);
  }
  admin_addresses_ = *std::move(endpoints);
  return absl::OkStatus();
}

// Before any thread serves, so that all of them use the same engine.
absl::Status Server::MakeLoops() {
  auto loops = CreateServerLoops(settings_);
  if (!loops.ok()) return InSetting("io_engine", loops.status());
  loops_ = *std::move(loops);
  return absl::OkStatus();
}

void Server::SayMemory() {
  const Settings& settings = generation_->settings;
  const std::vector<MemoryTerm> terms =
      WorstCaseMemory(settings, worker_count_, settings.max_connections);
  log_.Info("memory: " + DescribeMemory(terms));
  const std::string warning = MemoryWarning(terms, io::FindMemoryLimit());
  if (!warning.empty()) log_.Warning("memory: " + warning);
}

// --- threads --------------------------------------------------------------

absl::Status Server::Start() {
  // Rings and sockets come before it is known how many clients fit.
  RaiseDescriptorLimit();
  absl::Status result = LoadTls();
  if (!result.ok()) return result;
  // Sees from now on what changes, and loads nothing yet.
  reloader_ = std::make_unique<TlsReloader>(
      tls_loader_, log_, settings_.tls_session_cache_timeout,
      [this](std::vector<WorkerTls> workers) { UseTls(std::move(workers)); });
  reloader_->set_load_asked(
      [this](TlsLoader::Loaded& loaded) { return LoadAsked(loaded); });
  reloader_->Watch(std::move(tls_.files));
  result = MakeLoops();
  if (result.ok()) result = AdoptSockets();
  if (!result.ok()) return result;
  Draft draft;
  result = MakeDraft(settings_, draft);
  if (!result.ok()) return result;
  result = ResolveAdmin();
  if (result.ok()) result = CheckAllClaimed();
  if (!result.ok()) return result;
  // Behind the errors: who reads one has no eye for what is merely unwise.
  const std::string engine_warning = EngineWarning(loops_);
  if (!engine_warning.empty()) log_.Warning("io_engine: " + engine_warning);
  for (const std::string& warning : draft.warnings) log_.Warning(warning);
  for (const std::string& warning : SettingsWarnings(settings_)) {
    log_.Warning(warning);
  }
  shared_ = std::make_unique<WorkerShared>(*draft.settings, draft.backends,
                                           worker_count_, log_);
  shared_->notes.own_mark = instance_;
  generation_ = shared_->generation;
  result = StartResolver();
  if (!result.ok()) return result;
  listen_ = draft.sockets.addresses();
  result = StartWorkers(sockets_.Use(std::move(draft.sockets)));
  if (result.ok()) result = StartControl();
  if (result.ok()) SayMemory();
  if (result.ok()) result = on_bound_();
  // Whose port has been bound long since.
  if (result.ok()) result = StartAdmin();
  if (result.ok()) result = TakeOver();
  for (const auto& thread : threads_) thread->go.set_value(result.ok());
  if (!result.ok()) return result;
  for (const ListenAddress& address : listen_) {
    log_.Info(absl::StrFormat("listening on %s%s", address.endpoint.ToString(),
                              address.implicit_tls ? " (TLS)" : ""));
  }
  reloader_->Start();
  tls_ = TlsLoader::Loaded();
  log_.Info(absl::StrFormat("ready: %d workers over %s, backend %s",
                            worker_count_, io::NameOf(loops_.engine),
                            absl::StrJoin(settings_.backend, ", ")));
  return absl::OkStatus();
}

// They have their sockets when it returns, and wait for `go`.
absl::Status Server::StartWorkers(
    const std::vector<std::vector<ListenAddress>>& listen) {
  for (size_t number = 0; number < listen.size(); ++number) {
    threads_.push_back(std::make_unique<Thread>());
    Thread& thread = *threads_.back();
    thread.listen_on = listen[number];
    thread.thread =
        std::thread([this, &thread, number] { RunWorker(thread, number); });
    const absl::Status listening = thread.listening.get_future().get();
    if (!listening.ok()) return listening;
  }
  return absl::OkStatus();
}

// Where no listener wants names now, a reload may bring one that does.
absl::Status Server::StartResolver() {
  const bool wanted = std::any_of(
      generation_->terms.begin(), generation_->terms.end(),
      [](const auto& terms) { return terms->settings.peername_lookup; });
  io::AresOptions options;
  options.servers = settings_.dns_servers;
  auto resolver = io::CreateAresResolver(options);
  if (!resolver.ok() && !wanted) return absl::OkStatus();
  if (!resolver.ok()) return InSetting("dns_servers", resolver.status());
  resolver_ = *std::move(resolver);
  shared_->resolver = resolver_.get();
  return absl::OkStatus();
}

void Server::RunWorker(Thread& thread, size_t number) {
  const std::unique_ptr<io::Loop> loop = std::move(loops_.loops[number]);
  Worker worker(*loop, *shared_, std::move(tls_.workers[number]),
                absl::StrFormat("%s%02X", instance_, number));
  const absl::Status listening = worker.Listen(thread.listen_on);
  // In the first turn, which knows what time it is: much was looked up since
  // the loop was made. Before anybody can ask for a drain.
  loop->PostRemote([&worker] { worker.Start(); });
  if (listening.ok()) {
    const std::lock_guard<std::mutex> lock(thread.mutex);
    thread.worker = &worker;
    thread.loop = loop.get();
  }
  thread.listening.set_value(listening);
  if (!listening.ok() || !thread.go.get_future().get()) {
    const std::lock_guard<std::mutex> lock(thread.mutex);
    thread.loop = nullptr;
    return;
  }
  loop->Run();
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

void Server::Terminate() {
  if (terminations_.fetch_add(1) > 0) {
    // The administrator has asked twice: no more courtesy.
    _exit(1);
  }
  log_.Info("draining: no new clients, open transactions may finish");
  Drain(sockets_.is_shared() ? Parting::kBehindFirstMail : Parting::kAtOnce);
}

void Server::Drain(Parting parting) {
  draining_ = true;
  // The workers' descriptors are the last: what they close is closed.
  sockets_.Close();
  for (const auto& thread : threads_) {
    const std::lock_guard<std::mutex> lock(thread->mutex);
    if (thread->loop == nullptr) continue;
    thread->loop->PostRemote(
        [&thread, parting] { thread->worker->Drain(parting); });
  }
}

bool Server::Wait() {
  bool clean = true;
  for (const auto& thread : threads_) {
    if (thread->thread.joinable()) thread->thread.join();
    clean = clean && thread->clean;
  }
  control_.Stop();
  // Until now somebody may have watched the drain.
  StopAdmin();
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
