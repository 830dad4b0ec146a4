// Server: the process: its workers' threads, start, drain and end.
//
// All that can be known before serving is checked before the first thread
// starts; every error is one line for the administrator.

#ifndef TLSPOST_PROXY_SERVER_H_
#define TLSPOST_PROXY_SERVER_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/io/endpoint.h"
#include "common/io/name_resolver.h"
#include "common/tls/certificate_facts.h"
#include "proxy/admin_http.h"
#include "proxy/admin_thread.h"
#include "proxy/log.h"
#include "proxy/metrics.h"
#include "proxy/settings.h"
#include "proxy/tls_loader.h"
#include "proxy/tls_reloader.h"
#include "proxy/worker.h"

namespace tlspost {

class Server {
 public:
  // `settings` and `log` outlive the server.
  Server(Settings settings, Log& log);
  ~Server();

  // A certificate that is in no file, for the demo.
  void UseCertificate(std::string cert_pem, std::string key_pem);

  // Called once by Start, when all ports are bound and nobody is let in yet. An
  // error ends the start.
  void set_on_bound(std::function<absl::Status()> on_bound) {
    on_bound_ = std::move(on_bound);
  }

  // Checks certificates, addresses and ports, then starts the workers. They
  // serve when it returns OK.
  absl::Status Start();

  // Where clients can connect, once started.
  const std::vector<ListenAddress>& listening() const { return listen_; }

  // SIGHUP: loads certificates and keys again. Any thread; does not wait.
  void Reload();

  // SIGTERM: drains every worker; a second call ends the process at once. Any
  // thread.
  void Terminate();

  // Waits until all workers have ended. True: nothing was cut off.
  bool Wait();

  // The counters of all workers, summed; after Wait.
  Counters TotalCounters() const;

  // Where the administrator can look, once started.
  const std::vector<io::Endpoint>& admin_listening() const {
    return admin_addresses_;
  }

 private:
  struct Thread;
  class Inquiry;

  absl::Status LoadTls();
  absl::Status ResolveListeners();
  absl::Status ResolveBackends();
  absl::Status ResolveAdmin();
  absl::Status StartResolver();
  absl::Status FitDescriptorLimit();
  void SayMemory();
  void UseTls(std::vector<WorkerTls> workers);
  void RunWorker(Thread& thread, size_t number);

  // --- for the administrator, on that thread (server_admin.cc) ---
  absl::Status StartAdmin();
  // Asks all workers; one that is silent keeps its last report.
  void AskWorkers();
  MetricsSnapshot Metrics();
  AdminPage HealthPage();
  AdminPage ReadyPage();
  // The reloader's thread, or before it runs.
  void NoteCertificates(const std::vector<WorkerTls>& workers);

  Settings settings_;
  Log& log_;
  int worker_count_;
  std::string instance_;
  std::function<absl::Status()> on_bound_ = [] { return absl::OkStatus(); };
  const int64_t start_time_s_;
  TlsLoader tls_loader_;
  TlsLoader::Loaded tls_;  // until the workers run
  std::vector<ListenAddress> listen_;
  std::vector<BackendAddress> backend_addresses_;
  std::unique_ptr<io::NameResolver> resolver_;  // its thread posts to workers
  std::unique_ptr<WorkerShared> shared_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<int> terminations_ = 0;
  std::unique_ptr<TlsReloader> reloader_;  // uses the threads: goes first

  std::vector<io::Endpoint> admin_addresses_;
  std::mutex certificates_mutex_;
  std::vector<tls::CertificateFacts> certificates_;  // guarded by the mutex
  // The admin thread's only.
  AdminHttp admin_http_;
  std::vector<WorkerReport> reports_;
  int silent_workers_ = 0;
  int serving_workers_ = 0;
  std::unique_ptr<AdminThread> admin_;  // uses all of this: goes first
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVER_H_
