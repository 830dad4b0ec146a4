// Worker: everything one thread has: listeners, sessions, pool, counters.
//
// Nothing of it is shared with another worker but what WorkerShared names. It
// runs on any Loop, so the simulation runs the very same worker.

#ifndef TLSPOST_PROXY_WORKER_H_
#define TLSPOST_PROXY_WORKER_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"
#include "proxy/backend_notes.h"
#include "proxy/backend_pool.h"
#include "proxy/client_policies.h"
#include "proxy/connection_limit.h"
#include "proxy/counters.h"
#include "proxy/handshake_limit.h"
#include "proxy/log.h"
#include "proxy/session.h"
#include "proxy/session_services.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"
#include "proxy/tls_loader.h"

namespace tlspost {

// What the workers of a process have in common; outlives them.
struct WorkerShared {
  // `settings` passed FindSettingsProblem; all references outlive this.
  WorkerShared(const Settings& settings, std::vector<io::Endpoint> backend,
               int workers, Log& log);

  const Settings& settings;
  const std::vector<io::Endpoint> backend_addresses;
  Log& log;
  SlotBudget slots;
  ConnectionLimit connections;
  const ClientPolicies policies;
  HandshakeLimit handshakes;
  BackendNotes notes;
};

// Where clients come to, and whether they begin with TLS there.
struct ListenAddress {
  io::Endpoint endpoint;
  bool implicit_tls = false;
};

class Worker {
 public:
  // `instance` begins the transactions' ids.
  Worker(io::Loop& loop, WorkerShared& shared, WorkerTls tls,
         std::string instance);

  // Binds the listeners; nothing is accepted yet. Error: one plain line.
  absl::Status Listen(const std::vector<ListenAddress>& addresses);
  // The addresses bound, with the ports that the kernel chose.
  std::vector<ListenAddress> listening() const;

  // For handshakes that begin from now on.
  void UseTls(WorkerTls tls);

  void Start();

  // Accepts no more, lets transactions finish until drain_timeout, says 421 to
  // everybody else, closes the pool, then stops the loop. On the loop's
  // thread, once.
  void Drain();
  // Whether the drain ended with nothing left over.
  bool clean() const { return clean_; }

  const Counters& counters() const { return counters_; }
  const BackendPool& pool() const { return pool_; }
  size_t session_count() const { return session_tasks_.size(); }

 private:
  struct Front {
    std::unique_ptr<io::Listener> listener;
    bool implicit_tls;
  };

  Task<void> AcceptFrom(Front& front);
  Task<void> Serve(std::unique_ptr<io::Stream> stream, bool implicit_tls);
  Task<void> TurnAway(std::unique_ptr<io::Stream> stream, bool implicit_tls);
  Task<void> DrainAndStop();

  io::Loop& loop_;
  WorkerShared& shared_;
  Counters counters_;
  BackendPool pool_;
  SessionServices services_;
  std::vector<std::unique_ptr<Front>> fronts_;
  IntrusiveList<Session> sessions_;
  bool draining_ = false;
  bool clean_ = false;
  io::TaskGroup session_tasks_;
  io::TaskGroup accept_tasks_;
  io::TaskGroup drain_task_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WORKER_H_
