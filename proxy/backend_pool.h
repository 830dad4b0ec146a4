// BackendPool: one worker's connections to the mail servers, lent to one
// transaction at a time.
//
// Promise 2 of the design lives here: a connection comes back only when its
// borrower has earned it (Lease::AtBoundary) and nothing on it is unread; a
// transaction starts only on a connection that carries its own client's
// identity. One that has heard a client's AUTH never comes back to the idle
// ones. The pool never sends a client's command; transactions do.

#ifndef TLSPOST_PROXY_BACKEND_POOL_H_
#define TLSPOST_PROXY_BACKEND_POOL_H_

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "common/base/intrusive_list.h"
#include "common/base/task.h"
#include "common/io/endpoint.h"
#include "common/io/loop.h"
#include "common/io/op.h"
#include "common/io/task_group.h"
#include "common/io/wait_queue.h"
#include "common/tls/tls_context.h"
#include "proxy/backend.h"
#include "proxy/backend_notes.h"
#include "proxy/backend_target.h"
#include "proxy/counters.h"
#include "proxy/fair_queue.h"
#include "proxy/introducer.h"
#include "proxy/log.h"
#include "proxy/settings.h"
#include "proxy/slot_budget.h"
#include "proxy/worker_facts.h"

namespace tlspost {

// Where a connection on loan comes back to: the pool, or who has it from there
// for longer.
class LeaseHome {
 public:
  // `reusable`: the server has said its last word on what it was lent for.
  virtual void GiveBack(std::unique_ptr<Backend> backend, bool reusable) = 0;
  // The same for one whose transaction was left open by a client that is gone:
  // the server is told to forget it, and nobody waits for the answer.
  virtual void GiveBackOpen(std::unique_ptr<Backend> backend) = 0;

 protected:
  ~LeaseHome() = default;
};

// A connection on loan. Destroying it gives the connection back: to its home
// if AtBoundary was called after the last use, else it is closed.
class [[nodiscard]] Lease {
 public:
  Lease() = default;
  Lease(LeaseHome& home, std::unique_ptr<Backend> backend)
      : home_(&home), backend_(std::move(backend)) {}
  Lease(Lease&& other) noexcept
      : home_(other.home_),
        backend_(std::move(other.backend_)),
        reusable_(other.reusable_) {}
  Lease& operator=(Lease&& other) noexcept {
    std::swap(home_, other.home_);
    std::swap(backend_, other.backend_);
    std::swap(reusable_, other.reusable_);
    return *this;
  }
  ~Lease() { Return(); }

  explicit operator bool() const { return backend_ != nullptr; }
  Backend* operator->() const { return backend_.get(); }
  Backend& operator*() const { return *backend_; }

  // The server has said its last word on this transaction, and it was heard.
  void AtBoundary() { reusable_ = true; }
  // A transaction has begun, or goes on.
  void InTransaction() { reusable_ = false; }

  // Gives the connection back now.
  void Return();
  // Likewise, with a transaction open that nobody will end.
  void ReturnOpen();

  // Lends the connection on; it comes back to `home`, which says Resume.
  Lease LendOn(LeaseHome& home) { return Lease(home, std::move(backend_)); }
  void Resume(std::unique_ptr<Backend> backend, bool reusable) {
    backend_ = std::move(backend);
    reusable_ = reusable;
  }

 private:
  LeaseHome* home_ = nullptr;
  std::unique_ptr<Backend> backend_;
  bool reusable_ = false;
};

class BackendPool final : private LeaseHome {
 public:
  // All references outlive the pool. `addresses`: at least one. `tls` may be
  // null if the settings want no TLS to them.
  BackendPool(io::Loop& loop, std::shared_ptr<const Settings> settings,
              std::vector<BackendAddress> addresses,
              std::shared_ptr<tls::TlsContext> tls, SlotBudget& budget,
              BackendNotes& notes, Log& log, Counters& counters);
  ~BackendPool();

  // For connections opened from now on.
  void UseTls(std::shared_ptr<tls::TlsContext> tls) { tls_ = std::move(tls); }

  // For all that begins from now on. Connections that would be opened otherwise
  // now, or whose backend is not among `addresses`, serve no further
  // transaction: they close, those on loan when they come back.
  void UseSettings(std::shared_ptr<const Settings> settings,
                   std::vector<BackendAddress> addresses);

  // Begins to keep warm spares.
  void Start();
  // Lends nothing any more, closes what is idle; those on loan are closed as
  // they come back. Await it before the pool is destroyed: true when all
  // connections are gone, false at `deadline`.
  Task<bool> Shutdown(io::Time deadline);
  // Ends all waits: for a connection, and on those lent, which are closed.
  void CutOff();

  // What Acquire gives: a lease, or the reply the client's MAIL gets.
  struct Acquired {
    Lease lease;
    std::string refusal;  // one whole reply; empty with a lease
  };
  // A connection that carries the borrower's identity (if the backend takes
  // identities), waiting for it until `deadline`: clients take turns, and each
  // client's sessions are served in the order of their coming.
  Task<Acquired> Acquire(const Borrower& borrower, io::Time deadline);

  Introducer& introducer() { return introducer_; }

  // Whether it is as one would be that is opened now, to a backend that there
  // is still.
  bool IsCurrent(const Backend& backend) const;

  // What the backends offer, as last seen: all of those that were reached so
  // far. Nothing before one was.
  const std::optional<smtp::EhloCapabilities>& capabilities() const {
    return capabilities_;
  }

  // Whether a connection is there, or the last try to reach some backend
  // succeeded.
  bool reaches_backend() const {
    const bool connected = !idle_.empty() || !lent_.empty();
    return connected || (capabilities_.has_value() && !targets_.all_down());
  }

  int open_connections() const { return open_; }
  int idle_connections() const { return static_cast<int>(idle_.size()); }
  int waiting() const { return static_cast<int>(waiting_.size()); }
  // Whether somebody waits for whom no connection is being opened, here or in
  // another worker.
  bool is_crowded() { return WaitersUnserved() > 0 || slots_->OthersWish(); }
  // How each backend does, as this worker sees it (backend_pool_facts.cc).
  std::vector<TargetFacts> Targets() const;

  // Stands in the greeting that clients get, so that a backend that is this
  // process itself is found out; may be empty.
  const std::string& own_mark() const { return notes_.own_mark; }

 private:
  class GrantOp;
  struct Dialing;

  // --- lending ---
  std::unique_ptr<Backend> TakeIdle(const smtp::ClientIdentity& identity);
  bool IsBetterDialled(const BackendTarget& target) const;
  void NoteLent(Backend& backend);
  void NoteReturned(Backend& backend);
  void GiveBack(std::unique_ptr<Backend> backend, bool reusable) override;
  void GiveBackOpen(std::unique_ptr<Backend> backend) override;
  Task<void> ResetAndGiveBack(std::unique_ptr<Backend> backend);
  bool WorthKeeping(const Backend& backend) const;
  void Offer(std::unique_ptr<Backend> backend);

  // --- opening and closing (backend_pool_dial.cc) ---
  void Grow();
  bool TakeSlot();
  int Spares() const;
  std::vector<BackendTarget*> SlowTargets() const;
  bool Counts(const Dialing& dialing) const;
  int CountedDials() const;
  int WaitersUnserved();
  int DialsMissing();
  bool IsProbe(const BackendTarget& target) const;
  bool MayProbe() const;
  BackendTarget* NextTarget();
  Task<void> Dial(BackendTarget& target);
  Task<absl::StatusOr<std::unique_ptr<Backend>>> OpenConnection(
      BackendTarget& target);
  Task<absl::Status> OpenBackend(Backend& backend, const Dialing& dialing,
                                 io::Time deadline);
  void Opened(std::unique_ptr<Backend> backend);
  void NoteCapabilities(BackendTarget& target, const Backend& backend);
  void DialEnded(Dialing& dialing);
  void DialFailed(BackendTarget& target, io::Time began,
                  const absl::Status& why);
  void ServeFromIdle();
  void LogDialFailure(BackendTarget& target, const absl::Status& why,
                      io::Duration pause);

  // --- a connection for one client each (backend_pool_proxy.cc) ---
  static std::string HeaderFor(const Borrower& borrower);
  bool IsDialledFor(const GrantOp& waiter) const;
  int WaitersWithoutDial();
  void ChooseClient(Dialing& dialing);
  GrantOp* FindWaiter(const smtp::ClientIdentity& identity,
                      std::string_view header);
  bool TurnAway(const Dialing& dialing, const Backend& backend);
  void HandOver(std::unique_ptr<Backend> backend);

  // --- TLS to the backend (backend_pool_tls.cc) ---
  bool WantsTls(const Backend& backend);
  Task<absl::Status> StartTls(Backend& backend, std::string hello,
                              io::Time deadline);
  absl::Status DoWithoutTls(Backend& backend, const absl::Status& why);
  void NoteTlsOffer(const Backend& backend);

  // --- closing ---
  void Retire(std::unique_ptr<Backend> backend);
  Task<void> SayQuit(std::unique_ptr<Backend> backend);
  void CloseNow(std::unique_ptr<Backend> backend);
  void SlotFree(BackendTarget& target);
  void GiveUpIdle();
  Task<void> Maintain();
  void DropIdle();
  void EndDial(Dialing& dialing);

  io::Loop& loop_;
  std::shared_ptr<const Settings> settings_;
  BackendTargets targets_;
  std::shared_ptr<tls::TlsContext> tls_;
  BackendNotes& notes_;
  Log& log_;
  Counters& counters_;
  std::unique_ptr<SlotBudget::Member> slots_;

  std::vector<std::unique_ptr<Backend>> idle_;  // the warmest at the back
  std::vector<Backend*> lent_;
  std::vector<Backend*> resetting_;  // of these, without a borrower
  FairQueue<GrantOp> waiting_;
  int open_ = 0;  // slots we hold: idle, lent, dialling, saying QUIT
  std::vector<Dialing*> dialing_;  // of these, not usable yet
  // Has too little to do, compared with one that was lent.
  BackendTarget* underused_ = nullptr;

  Introducer introducer_;
  std::optional<smtp::EhloCapabilities> capabilities_;
  // Changes with what OpensAlike looks at; a connection has that of its time.
  int opening_ = 0;
  // Whether one was opened since then.
  bool knows_capabilities_ = false;

  absl::Status last_failure_;
  bool stopping_ = false;
  io::WaitQueue maintenance_;
  io::WaitQueue emptied_;
  io::TaskGroup tasks_;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BACKEND_POOL_H_
