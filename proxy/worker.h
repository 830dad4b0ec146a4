// Worker: everything one thread has: listeners, sessions, pool, counters.
//
// Nothing of it is shared with another worker but what WorkerShared names. It
// runs on any Loop, so the simulation runs the very same worker.

#ifndef TLSPOST_PROXY_WORKER_H_
#define TLSPOST_PROXY_WORKER_H_

#include <cstdint>
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
#include "proxy/generation.h"
#include "proxy/handshake_limit.h"
#include "proxy/log.h"
#include "proxy/overload.h"
#include "proxy/session.h"
#include "proxy/session_services.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"
#include "proxy/tls_loader.h"
#include "proxy/trace_hub.h"
#include "proxy/worker_facts.h"
#include "proxy/worker_records.h"

namespace tlspost {

// What the workers of a process have in common; outlives them.
struct WorkerShared {
  // `settings` passed FindSettingsProblem; `log` outlives this.
  WorkerShared(Settings settings, std::vector<BackendAddress> backends,
               int workers, Log& log);

  // The limits that all workers share are those of `settings` from now on. Any
  // thread, one at a time.
  void UseLimits(const Settings& settings);

  // What the workers begin with.
  const std::shared_ptr<const Generation> generation;
  Log& log;
  SlotBudget slots;
  ConnectionLimit connections;
  ClientLimits clients;
  HandshakeLimit handshakes;
  Overload overload;
  BackendNotes notes;
  TraceHub trace;
  // For clients' names; null: there are none. Outlives the workers.
  io::NameResolver* resolver = nullptr;
};

// Where clients come to, whether they begin with TLS there, and which of
// the generation's terms hold.
struct ListenAddress {
  io::Endpoint endpoint;
  bool implicit_tls = false;
  size_t terms = 0;
  // A listening socket to take over; -1: `endpoint` is to be bound.
  int socket = -1;
  // Which of a worker's listeners it is, over all reloads.
  size_t number = 0;
  // What becomes of clients in the kernel's queue when listening ends.
  io::Listener::Queue queue = io::Listener::Queue::kHandOut;
};

// How the service ends, for the clients that are here.
enum class Parting : uint8_t {
  // They hear 421 as soon as they are in no transaction.
  kAtOnce,
  // Nobody is served until we have ended, but nobody is refused either: the
  // listening sockets stay with who made them. Each client may have had one
  // mail before it hears 421, if it is quick.
  kBehindFirstMail,
  // Another process has the listening sockets and serves: clients go on as
  // before for half of drain_timeout.
  kWhenDone,
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
  // For clients that come from now on, and at once for the pool. Who is here
  // keeps what was. `addresses` are where clients come to from now on: an
  // address that stays keeps its listener, a new one has a socket to take over,
  // and at one that is gone nobody is lost who was let in by the kernel.
  void UseGeneration(std::shared_ptr<const Generation> generation,
                     WorkerTls tls, std::vector<ListenAddress> addresses);

  void Start();

  // Accepts no more, lets transactions finish until drain_timeout, says 421 to
  // everybody else when `parting` says, closes the pool, then stops the loop.
  // On the loop's thread, once.
  void Drain(Parting parting = Parting::kAtOnce);
  // Whether the drain ended with nothing left over.
  bool clean() const { return clean_; }

  const Counters& counters() const { return counters_; }
  const BackendPool& pool() const { return pool_; }
  const WorkerRecords& records() const { return records_; }
  // What an administrator is told (worker_report.cc).
  WorkerReport Report() const;
  // The first `limit` sessions, in the order of their coming.
  std::vector<SessionFacts> Sessions(size_t limit);
  size_t session_count() const { return session_tasks_.size(); }

 private:
  // A listening address, and what its sessions use.
  struct Front {
    std::unique_ptr<io::Listener> listener;
    ListenAddress address;
    std::shared_ptr<SessionServices> services;
  };

  std::shared_ptr<SessionServices> ServicesFor(size_t terms);
  absl::Status OpenFront(const ListenAddress& address);

  Task<void> AcceptFrom(std::shared_ptr<Front> front);
  void NoteOutOfDescriptors(const absl::Status& why);
  void NoteAccepted();
  void LetIn(std::unique_ptr<io::Stream> stream, Front& front);
  void Receive(std::unique_ptr<io::Stream> stream, Front& front);
  Task<void> Await(std::unique_ptr<Arrival> arrival);
  bool Admit(Arrival& arrival);
  void Welcome(std::unique_ptr<Arrival> arrival);
  Task<void> Serve(std::unique_ptr<Arrival> arrival);
  void Leave();
  void Refuse(std::unique_ptr<io::Stream> stream, std::string words,
              bool implicit_tls);
  Task<void> TurnAway(std::unique_ptr<io::Stream> stream, std::string words);
  void NoteLoad();
  Task<void> LetFinish(Parting parting, io::Time drain_end);
  void SendAway();
  Task<void> DrainAndStop(Parting parting);

  io::Loop& loop_;
  WorkerShared& shared_;
  std::shared_ptr<const Generation> generation_;
  Counters counters_;
  WorkerRecords records_;
  BackendPool pool_;
  ClientNames names_;
  std::shared_ptr<tls::TlsContext> tls_;
  const std::string instance_;
  uint64_t transactions_ = 0;
  bool overloaded_ = false;  // as it has last seen the process
  io::WaitQueue delays_;     // replies that are late on purpose
  std::vector<std::shared_ptr<Front>> fronts_;
  IntrusiveList<Arrival> arrivals_;
  IntrusiveList<Session> sessions_;
  bool leaving_ = false;            // Drain was called
  bool behind_first_mail_ = false;  // a session ends when it has had a mail
  bool draining_ = false;           // a session ends when it can
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
