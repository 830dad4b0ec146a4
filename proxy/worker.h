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
#include "common/base/frame_slab.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/task_group.h"
#include "common/io/wait_queue.h"
#include "proxy/arrival.h"
#include "proxy/backend_notes.h"
#include "proxy/backend_pool.h"
#include "proxy/client_limits.h"
#include "proxy/client_names.h"
#include "proxy/connection_limit.h"
#include "proxy/counters.h"
#include "proxy/front_terms.h"
#include "proxy/handshake_limit.h"
#include "proxy/log.h"
#include "proxy/overload.h"
#include "proxy/session.h"
#include "proxy/session_services.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"
#include "proxy/tls_loader.h"
#include "proxy/trace_hub.h"

namespace tlspost {

// What the workers of a process have in common; outlives them.
struct WorkerShared {
  // `settings` passed FindSettingsProblem; all references outlive this.
  WorkerShared(const Settings& settings, std::vector<BackendAddress> backends,
               int workers, Log& log);

  const Settings& settings;
  const std::vector<BackendAddress> backend_addresses;
  Log& log;
  SlotBudget slots;
  ConnectionLimit connections;
  // The settings' own terms, then those of each [[listener]].
  const std::vector<std::unique_ptr<const FrontTerms>> terms;
  ClientLimits clients;
  HandshakeLimit handshakes;
  Overload overload;
  BackendNotes notes;
  TraceHub trace;
  // For clients' names; null: there are none. Outlives the workers.
  io::NameResolver* resolver = nullptr;
};

// What an administrator is told of one worker.
struct WorkerReport {
  Counters counters;
  int backend_idle = 0;
  int backend_waiting = 0;
  bool reaches_backend = false;
  FrameUse frames;     // coroutines that live
  int64_t blocks = 0;  // memory blocks with received octets
};

// Where clients come to, whether they begin with TLS there, and which of
// WorkerShared's terms hold.
struct ListenAddress {
  io::Endpoint endpoint;
  bool implicit_tls = false;
  size_t terms = 0;
};

class Worker {
 public:
  // Clients that are told at one time why they are turned away; one more is
  // only closed.
  static constexpr size_t kMaxTurnedAway = 64;

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
  WorkerReport Report() const {
    return {counters_,
            pool_.idle_connections(),
            pool_.waiting(),
            pool_.reaches_backend(),
            ThisThreadFrameUse(),
            loop_.blocks().blocks_out()};
  }
  size_t session_count() const { return session_tasks_.size(); }

 private:
  // A listening address, and what its sessions use.
  struct Front {
    std::unique_ptr<io::Listener> listener;
    const ListenAddress address;
    SessionServices services;
  };

  SessionServices ServicesFor(const FrontTerms& terms);

  Task<void> AcceptFrom(Front& front);
  void NoteOutOfDescriptors(const absl::Status& why);
  void NoteAccepted();
  void LetIn(std::unique_ptr<io::Stream> stream, Front& front);
  void Receive(std::unique_ptr<io::Stream> stream, Front& front);
  Task<void> Await(std::unique_ptr<Arrival> arrival, Front& front);
  bool Admit(Arrival& arrival, Front& front);
  void Welcome(std::unique_ptr<Arrival> arrival);
  Task<void> Serve(std::unique_ptr<Arrival> arrival);
  void Leave();
  void Refuse(std::unique_ptr<io::Stream> stream, std::string words,
              const Front& front);
  Task<void> TurnAway(std::unique_ptr<io::Stream> stream, std::string words);
  void NoteLoad();
  Task<void> DrainAndStop();

  io::Loop& loop_;
  WorkerShared& shared_;
  Counters counters_;
  BackendPool pool_;
  ClientNames names_;
  std::shared_ptr<tls::TlsContext> tls_;
  const std::string instance_;
  uint64_t transactions_ = 0;
  bool overloaded_ = false;  // as it has last seen the process
  io::WaitQueue delays_;     // replies that are late on purpose
  std::vector<std::unique_ptr<Front>> fronts_;
  IntrusiveList<Arrival> arrivals_;
  IntrusiveList<Session> sessions_;
  bool draining_ = false;
  bool clean_ = false;
  io::Time descriptors_ended_ = io::kNever;  // kNever: there are some
  io::Time last_failed_accept_ = io::kNever;
  io::TaskGroup session_tasks_;
  io::TaskGroup turned_away_;
  io::TaskGroup accept_tasks_;
  io::TaskGroup drain_task_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_WORKER_H_
