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
#include "common/tls/tls_context.h"
#include "proxy/backend_pool.h"
#include "proxy/connection_limit.h"
#include "proxy/counters.h"
#include "proxy/log.h"
#include "proxy/session.h"
#include "proxy/session_services.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"

namespace tlspost {

// What the workers of a process have in common; outlives them.
struct WorkerShared {
  const Settings& settings;
  const std::vector<io::Endpoint>& listen;
  const std::vector<io::Endpoint>& backend_addresses;
  Log& log;
  SlotBudget& slots;
  ConnectionLimit& connections;
};

class Worker {
 public:
  // `tls` may be null: no STARTTLS. `instance` begins the transactions' ids.
  Worker(io::Loop& loop, const WorkerShared& shared,
         std::shared_ptr<tls::TlsContext> tls, std::string instance);

  // Binds the listeners; nothing is accepted yet. Error: one plain line.
  absl::Status Listen();
  // The endpoints bound, with the ports that the kernel chose.
  std::vector<io::Endpoint> listening() const;

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
  Task<void> AcceptFrom(io::Listener& listener);
  Task<void> Serve(std::unique_ptr<io::Stream> stream);
  Task<void> TurnAway(std::unique_ptr<io::Stream> stream);
  Task<void> DrainAndStop();

  io::Loop& loop_;
  const WorkerShared& shared_;
  Counters counters_;
  BackendPool pool_;
  SessionServices services_;
  std::vector<std::unique_ptr<io::Listener>> listeners_;
  IntrusiveList<Session> sessions_;
  bool draining_ = false;
  bool clean_ = false;
  io::TaskGroup session_tasks_;
  io::TaskGroup accept_tasks_;
  io::TaskGroup drain_task_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WORKER_H_
