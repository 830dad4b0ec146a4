// BackendTarget: one address that backend connections go to: how it does, and
// what was learnt of it. BackendTargets: those of one worker, and the choice
// among them.
//
// Health is found passively, by connections that could not be opened and by
// 421s. A target that fails is left alone for a while, each time for longer,
// and then tried by one connection at a time (half-open); when it is back it
// gets its share little by little (slow start). Opens and closes nothing; what
// the time is it is told.

#ifndef TLSPOST_PROXY_BACKEND_TARGET_H_
#define TLSPOST_PROXY_BACKEND_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/io/endpoint.h"
#include "common/io/time.h"
#include "common/smtp/capabilities.h"
#include "proxy/backend_notes.h"

namespace tlspost {

struct BackendAddress {
  std::string name;  // as the settings have it: HOST:PORT or unix:PATH
  io::Endpoint endpoint;
  // What the log says of it; all workers, and all generations of the settings
  // that have the address, share one.
  std::shared_ptr<OutageNote> outage = std::make_shared<OutageNote>();

  // Whether both lead to the same.
  friend bool operator==(const BackendAddress& a, const BackendAddress& b) {
    return a.name == b.name && a.endpoint == b.endpoint;
  }
};

// Whether a connection can carry one client after the other. Many a Postfix
// takes only one XCLIENT per connection (finding 1).
enum class IdentityReuse { kUnknown, kMany, kOnce };

class BackendTarget {
 public:
  // A target that has said 421 is passed over for this time, if others can.
  static constexpr io::Duration kFarewellPause = std::chrono::seconds(5);
  // One that is back has its share again when it has ended so many leases.
  static constexpr int kFullAllowance = 32;

  explicit BackendTarget(BackendAddress address)
      : address_(std::move(address)) {}

  const BackendAddress& address() const { return address_; }
  const io::Endpoint& endpoint() const { return address_.endpoint; }
  OutageNote& outage() const { return *address_.outage; }
  // The settings name it no more: nothing new is opened to it, and what is open
  // serves no further transaction.
  bool is_removed() const { return is_removed_; }
  // The host in its name; empty for a Unix socket.
  std::string Host() const;

  // --- health ---
  bool is_down() const { return failures_ > 0; }
  io::Time retry_at() const { return retry_at_; }
  // Whether a connection may be opened to it now.
  bool MayDial(io::Time now) const {
    return !is_down() || (dialing == 0 && now >= retry_at_);
  }
  // A connection that was begun then could not be opened. Returns the pause
  // until the next try: `shortest`, doubled with each failure up to `longest`,
  // of which `random` takes off up to one half. Those that were under way at
  // the last failure are the same failure.
  io::Duration NoteFailure(io::Time began, io::Time now, io::Duration shortest,
                           io::Duration longest, uint64_t random);
  // A connection was opened.
  void NoteOpened();
  // It has said 421 to a command. Clients can provoke that, so it never takes
  // a target down.
  void NoteFarewell(io::Time now) { avoid_until_ = now + kFarewellPause; }
  bool is_avoided(io::Time now) const { return now < avoid_until_; }

  // --- its load ---
  int busy() const { return lent + dialing; }
  bool has_its_share() const { return busy() >= allowance_; }
  void NoteLease() { last_lease_ = ++*clock_; }
  uint64_t last_lease() const { return last_lease_; }
  void NoteLeaseEnded() {
    if (allowance_ < kFullAllowance) ++allowance_;
  }

  int lent = 0;
  int dialing = 0;
  int open = 0;  // connections, these and all others

  // --- what was learnt ---
  std::optional<smtp::EhloCapabilities> capabilities;
  IdentityReuse identity_reuse = IdentityReuse::kUnknown;
  io::Time tls_retry_at;  // where TLS is optional and has failed

 private:
  friend class BackendTargets;

  const BackendAddress address_;
  bool is_removed_ = false;
  uint64_t* clock_ = nullptr;  // counts the leases of all targets
  int failures_ = 0;           // in a row
  io::Time failed_at_;         // the last of them
  io::Time retry_at_;
  io::Time avoid_until_;
  int allowance_ = kFullAllowance;
  uint64_t last_lease_ = 0;
};

class BackendTargets {
 public:
  explicit BackendTargets(std::vector<BackendAddress> addresses);

  size_t size() const { return targets_.size(); }
  const BackendTarget& at(size_t number) const { return *targets_[number]; }

  // These from now on, at least one. A target whose address stays keeps its
  // health and all else; one whose address does not is removed, and goes when
  // ForgetRemoved finds it without a connection.
  void Replace(std::vector<BackendAddress> addresses);
  void ForgetRemoved();

  // Whether `a` is to be preferred to `b`: up, not to be avoided, below its
  // share, less busy, and for longer without a lease.
  static bool IsBetter(const BackendTarget& a, const BackendTarget& b,
                       io::Time now);

  // The best that a connection may be opened to, of equals the one with the
  // fewest; those that `slow` names only if there are no others. Null: there
  // is none.
  BackendTarget* BestToDial(io::Time now,
                            const std::vector<BackendTarget*>& slow) const;
  // One that was not reached yet, or is down and due to be tried again; null:
  // there is none.
  BackendTarget* DueForProbe(io::Time now) const;
  // One that is up, has nothing under way, and is less busy than `target`;
  // null: there is none.
  BackendTarget* LessBusyThan(const BackendTarget& target, io::Time now) const;
  bool all_down() const;
  // When the first of those that are down is due; io::kNever without one.
  io::Time NextRetry(io::Time now) const;

  // What every target offers that was reached so far; nothing if none was.
  std::optional<smtp::EhloCapabilities> CommonCapabilities() const;

 private:
  std::vector<std::unique_ptr<BackendTarget>> targets_;
  std::vector<std::unique_ptr<BackendTarget>> removed_;
  uint64_t clock_ = 0;
};

}  // namespace tlspost

#endif  // TLSPOST_PROXY_BACKEND_TARGET_H_
