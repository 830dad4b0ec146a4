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
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "common/io/endpoint.h"
#include "common/io/engine.h"
#include "common/io/name_resolver.h"
#include "common/io/unix_channel.h"
#include "common/tls/certificate_facts.h"
#include "proxy/admin_http.h"
#include "proxy/admin_thread.h"
#include "proxy/control_server.h"
#include "proxy/generation.h"
#include "proxy/listen_sockets.h"
#include "proxy/log.h"
#include "proxy/metrics.h"
#include "proxy/settings.h"
#include "proxy/status_history.h"
#include "proxy/tls_loader.h"
#include "proxy/tls_reloader.h"
#include "proxy/tls_report.h"
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

  // How the settings are read anew; without it a reload is of certificates
  // only. Before Start; called on a thread of its own.
  using ReadSettings = std::function<absl::StatusOr<Settings>()>;
  void set_read_settings(ReadSettings read) {
    read_settings_ = std::move(read);
  }

  // SIGHUP: reads settings, certificates and keys again. All of it comes into
  // force, or nothing. Any thread; does not wait.
  void Reload();

  // Reloads that have ended, well or not; changes once for each Reload.
  int64_t reloads_ended() const;

  // The same for one who waits (tlspost reload): what came of it.
  struct ReloadResult {
    absl::Status status;  // not OK: all is as it was
    // What was asked for and is kept until a restart.
    std::vector<std::string> kept;
    std::string words;  // what has changed
  };
  ReloadResult ReloadAndWait();

  // SIGTERM: drains every worker; a second call ends the process at once. Any
  // thread.
  void Terminate();

  // Waits until all workers have ended. True: nothing was cut off.
  bool Wait();

  // Whether each worker that serves has done a turn within a second. Any thread
  // but theirs, once started.
  bool WorkersAnswer();
  // How it goes, in a line for a person. Any thread, once started.
  std::string StatusLine() const;

  // The counters of all workers, summed; after Wait.
  Counters TotalCounters() const;

  // Where the administrator can look, once started.
  const std::vector<io::Endpoint>& admin_listening() const {
    return admin_addresses_;
  }

 private:
  struct Thread;

  absl::Status LoadTls();
  absl::Status ResolveAdmin();
  absl::Status StartResolver();
  absl::Status MakeLoops();
  void SayMemory();
  absl::Status StartWorkers(
      const std::vector<std::vector<ListenAddress>>& listen);
  void RunWorker(Thread& thread, size_t number);

  // --- from settings to what is in force (server_reload.cc) ---
  struct Draft;
  absl::Status MakeDraft(Settings settings, Draft& draft);
  absl::Status BindListeners(Draft& draft);
  absl::Status ResolveBackends(Draft& draft) const;
  absl::Status FitDescriptorLimit(Draft& draft);
  // On the reloader's thread.
  absl::Status LoadAsked(TlsLoader::Loaded& loaded);
  void UseTls(std::vector<WorkerTls> workers);
  void TellWorkers(std::vector<WorkerTls> workers,
                   std::vector<std::vector<ListenAddress>> listen);
  void UseDraft(std::unique_ptr<Draft> draft, std::vector<WorkerTls> workers);

  void Drain(Parting parting);

  // --- for the owner of the process (server_control.cc) ---
  // Listening sockets that others have made: systemd, and the tlspost that runs
  // already.
  absl::Status AdoptSockets();
  absl::Status AskPredecessor();
  absl::Status CheckAllClaimed();
  absl::Status StartControl();
  // The other side of it, on a thread of the control server's.
  void HandOver(io::UnixChannel& channel);
  void HandOverAlone(io::UnixChannel& channel);
  // We serve: the tlspost before us can go.
  absl::Status TakeOver();

  // --- for the administrator, on that thread (server_admin.cc) ---
  absl::Status OpenAdminSocket(const io::Endpoint& endpoint);
  absl::Status StartAdmin();
  void StopAdmin();
  // What each worker answers (server_inquiry.h).
  template <typename T>
  std::vector<std::optional<T>> Ask(T (*question)(Worker& worker));
  // Asks all workers; one that is silent keeps its last report.
  void AskWorkers();
  MetricsSnapshot Metrics();
  AdminPage HealthPage();
  AdminPage ReadyPage();
  static std::string_view StateOf(const MetricsSnapshot& snapshot);
  // (server_status.cc)
  void AddStatusPages();
  void TakeSample();
  TlsReport ReportOnTls();
  AdminPage StatusPage();
  AdminPage SessionsPage();
  AdminPage PoolsPage();
  // The reloader's thread, or before it runs.
  void NoteCertificates(const std::vector<WorkerTls>& workers);

  const Settings settings_;  // of the start
  ReadSettings read_settings_;
  Log& log_;
  int worker_count_;
  std::string instance_;
  std::function<absl::Status()> on_bound_ = [] { return absl::OkStatus(); };
  const int64_t start_time_s_;
  TlsLoader tls_loader_;
  TlsLoader::Loaded tls_;  // until the workers run
  ListenSockets sockets_;
  io::Loops loops_;                             // each until its thread has it
  std::vector<ListenAddress> listen_;           // as at the start
  std::unique_ptr<io::NameResolver> resolver_;  // its thread posts to workers
  std::unique_ptr<WorkerShared> shared_;
  // The workers' current one; the reloader's thread only, once it runs.
  std::shared_ptr<const Generation> generation_;
  std::unique_ptr<Draft> draft_;
  ReloadResult last_reload_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<int> terminations_ = 0;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> handing_over_ = false;
  std::optional<io::UnixChannel> predecessor_;  // until TakeOver
  std::unique_ptr<TlsReloader> reloader_;       // uses the threads: goes first

  std::vector<io::Endpoint> admin_addresses_;
  std::vector<io::Descriptor> admin_sockets_;
  std::mutex certificates_mutex_;
  std::vector<tls::CertificateFacts> certificates_;  // guarded by the mutex
  // The admin thread's only.
  AdminHttp admin_http_;
  StatusHistory history_;
  std::vector<WorkerReport> reports_;
  int silent_workers_ = 0;
  int serving_workers_ = 0;
  std::mutex admin_mutex_;              // whoever stops it
  std::unique_ptr<AdminThread> admin_;  // uses all of this: goes first
  ControlServer control_;               // likewise
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVER_H_
