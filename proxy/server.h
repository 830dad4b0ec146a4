// Server: the process: its workers' threads, start, drain and end.
//
// All that can be known before serving is checked before the first thread
// starts; every error is one line for the administrator.

#ifndef TLSPOST_PROXY_SERVER_H_
#define TLSPOST_PROXY_SERVER_H_

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "common/io/endpoint.h"
#include "common/tls/tls_options.h"
#include "proxy/connection_limit.h"
#include "proxy/log.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"
#include "proxy/worker.h"

namespace tlspost {

class Server {
 public:
  // `settings` and `log` outlive the server.
  Server(Settings settings, Log& log);
  ~Server();

  // A certificate that is in no file, for the demo.
  void UseCertificate(std::string cert_pem, std::string key_pem);

  // Checks certificates, addresses and ports, then starts the workers. They
  // serve when it returns OK.
  absl::Status Start();

  // Where clients can connect, once started.
  const std::vector<io::Endpoint>& listening() const { return listening_; }

  // SIGTERM: drains every worker; a second call ends the process at once. Any
  // thread.
  void Terminate();

  // Waits until all workers have ended. True: nothing was cut off.
  bool Wait();

  // The counters of all workers, summed; after Wait.
  Counters TotalCounters() const;

 private:
  struct Thread;

  absl::Status LoadTls();
  absl::Status ResolveAddresses();
  absl::Status FitDescriptorLimit();
  std::shared_ptr<tls::TlsContext> TakeTlsContext(size_t worker);
  void RunWorker(Thread& thread, size_t number);

  Settings settings_;
  Log& log_;
  int worker_count_;
  std::string instance_;
  std::string cert_pem_;
  std::string key_pem_;
  std::vector<io::Endpoint> listen_;
  std::vector<io::Endpoint> backend_addresses_;
  std::vector<io::Endpoint> listening_;
  std::vector<std::shared_ptr<tls::TlsContext>> tls_contexts_;
  std::unique_ptr<SlotBudget> slots_;
  std::unique_ptr<ConnectionLimit> connections_;
  std::unique_ptr<WorkerShared> shared_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::atomic<int> terminations_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_SERVER_H_
