// Lending: who gets which connection, under whose identity.

#include "proxy/backend_pool.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/smtp/reply.h"
#include "proxy/grant_op.h"

namespace tlspost {
namespace {

// Connections that one Acquire tries before it gives up: each try ends one
// that turned out to be dead or not to take a further identity.
constexpr int kMaxAcquireTries = 4;

// What a client hears when no connection could be had.
std::string RefusalFor(const absl::Status& why) {
  // The backend's own words on this client.
  if (absl::IsPermissionDenied(why)) return std::string(MessageOf(why));
  if (absl::IsDeadlineExceeded(why)) {
    return std::string(smtp::reply::kBackendBusy.text());
  }
  return std::string(absl::IsFailedPrecondition(why)
                         ? smtp::reply::kBackendTlsPolicy.text()
                         : smtp::reply::kBackendDown.text());
}

}  // namespace

void Lease::Return() {
  if (backend_ != nullptr) home_->GiveBack(std::move(backend_), reusable_);
}

void Lease::ReturnOpen() {
  if (backend_ != nullptr) home_->GiveBackOpen(std::move(backend_));
}

BackendPool::BackendPool(io::Loop& loop,
                         std::shared_ptr<const Settings> settings,
                         std::vector<BackendAddress> addresses,
                         std::shared_ptr<tls::TlsContext> tls,
                         SlotBudget& budget, BackendNotes& notes, Log& log,
                         Counters& counters)
    : loop_(loop),
      settings_(std::move(settings)),
      targets_(std::move(addresses)),
      tls_(std::move(tls)),
      notes_(notes),
      log_(log),
      counters_(counters),
      slots_(budget.Join(
          loop, [this] { Grow(); }, [this] { GiveUpIdle(); })),
      introducer_(loop, settings_, notes, log, counters),
      maintenance_(loop),
      emptied_(loop),
      tasks_(loop) {}

BackendPool::~BackendPool() {
  TLSPOST_CHECK(open_ == 0 && waiting_.empty() && idle_.empty());
}

// --- whose connection it is -----------------------------------------------

Task<BackendPool::Acquired> BackendPool::Acquire(const Borrower& borrower,
                                                 io::Time deadline) {
  Acquired acquired;
  const io::Time began = loop_.Now();
  for (int tries = 0; tries < kMaxAcquireTries; ++tries) {
    auto granted = co_await GrantOp(*this, borrower, deadline);
    if (!granted.ok()) {
      ++counters_.leases_refused;
      if (absl::IsDeadlineExceeded(granted.status())) {
        ++counters_.limits_hit[Limit::kPoolWaitTimeout];
      }
      acquired.refusal = RefusalFor(granted.status());
      co_return acquired;
    }
    Lease lease(*this, *std::move(granted));
    // A reload came in between: what it carries is judged by other rules now.
    if (!IsCurrent(*lease)) continue;
    const Introducer::Outcome introduced =
        co_await introducer_.Introduce(*lease, borrower, acquired.refusal);
    if (introduced == Introducer::Outcome::kDone) {
      ++counters_.leases;
      if (lease->uses > 0) ++counters_.leases_reused;
      counters_.Observe(Phase::kBackendWait, loop_.Now() - began);
      ++lease->uses;
      acquired.lease = std::move(lease);
      co_return acquired;
    }
    if (introduced == Introducer::Outcome::kRefused) {
      ++counters_.leases_refused;
      co_return acquired;
    }
  }
  ++counters_.leases_refused;
  acquired.refusal = smtp::reply::kBackendDown.text();
  co_return acquired;
}

// --- idle connections -----------------------------------------------------

std::unique_ptr<Backend> BackendPool::TakeIdle(
    const smtp::ClientIdentity& identity) {
  // A dead or talking connection is found before a command is risked on it.
  for (size_t i = idle_.size(); i-- > 0;) {
    if (!idle_[i]->readable()) continue;
    ++counters_.backend_stale;
    std::unique_ptr<Backend> stale = std::move(idle_[i]);
    idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(i));
    CloseNow(std::move(stale));
  }
  // The client's own connection needs no XCLIENT; else the best backend's
  // warmest one.
  const io::Time now = loop_.Now();
  size_t best = idle_.size();
  bool is_own = false;
  for (size_t i = idle_.size(); i-- > 0 && !is_own;) {
    if (!introducer_.MayCarry(*idle_[i], identity)) continue;
    is_own = introducer_.Carries(*idle_[i], identity);
    const bool is_better =
        best == idle_.size() ||
        BackendTargets::IsBetter(*idle_[i]->target, *idle_[best]->target, now);
    if (is_own || is_better) best = i;
  }
  if (best == idle_.size()) return nullptr;
  if (!is_own && IsBetterDialled(*idle_[best]->target)) return nullptr;
  std::unique_ptr<Backend> backend = std::move(idle_[best]);
  idle_.erase(idle_.begin() + static_cast<ptrdiff_t>(best));
  // Next time another one may have its turn.
  underused_ = targets_.LessBusyThan(*backend->target, now);
  return backend;
}

// Whether a new connection to another backend is worth the wait, since what is
// idle leads to one in trouble.
bool BackendPool::IsBetterDialled(const BackendTarget& target) const {
  const io::Time now = loop_.Now();
  if (!target.is_down() && !target.is_avoided(now)) return false;
  const BackendTarget* other = targets_.BestToDial(now, SlowTargets());
  return other != nullptr && !other->is_down() && !other->is_avoided(now);
}

bool BackendPool::IsCurrent(const Backend& backend) const {
  return backend.opening == opening_ && !backend.target->is_removed();
}

bool BackendPool::WorthKeeping(const Backend& backend) const {
  // RFC 9422 section 4.3: the next client's recipients may be of other domains
  // than those that this session has had.
  const auto& limits = backend.capabilities().limits;
  const bool domains_spent = backend.uses > 0 && limits.has_value() &&
                             limits->recipient_domains.has_value();
  return IsCurrent(backend) && backend.errors < settings_->backend_max_errors &&
         backend.uses < settings_->backend_max_uses && backend.takes_mail() &&
         !domains_spent &&
         loop_.Now() - backend.opened_at < settings_->backend_max_age;
}

void BackendPool::NoteLent(Backend& backend) {
  lent_.push_back(&backend);
  ++backend.target->lent;
  backend.target->NoteLease();
}

void BackendPool::NoteReturned(Backend& backend) {
  std::erase(lent_, &backend);
  --backend.target->lent;
  backend.target->NoteLeaseEnded();
  if (!backend.farewell_said()) return;
  ++counters_.backend_farewells;
  backend.target->NoteFarewell(loop_.Now());
}

void BackendPool::GiveBack(std::unique_ptr<Backend> backend, bool reusable) {
  NoteReturned(*backend);
  if (!reusable) {
    CloseNow(std::move(backend));
  } else if (!backend->at_boundary()) {
    // Something came that nobody asked for: whose reply would it be?
    ++counters_.backend_dirty;
    CloseNow(std::move(backend));
  } else if (stopping_ || backend->dedicated() ||
             introducer_.opens_per_client() || !WorthKeeping(*backend)) {
    Retire(std::move(backend));
  } else {
    Offer(std::move(backend));
  }
  Grow();
}

void BackendPool::GiveBackOpen(std::unique_ptr<Backend> backend) {
  if (stopping_) return GiveBack(std::move(backend), /*reusable=*/false);
  tasks_.Spawn(ResetAndGiveBack(std::move(backend)));
}

Task<void> BackendPool::ResetAndGiveBack(std::unique_ptr<Backend> backend) {
  resetting_.push_back(backend.get());
  const io::Time deadline = loop_.Now() + settings_->backend_timeout;
  const absl::Status reset = co_await backend->ResetTransaction(deadline);
  std::erase(resetting_, backend.get());
  GiveBack(std::move(backend), reset.ok());
}

void BackendPool::Offer(std::unique_ptr<Backend> backend) {
  TLSPOST_CHECK(!backend->dedicated());
  if (slots_->IsOverMax()) return Retire(std::move(backend));
  if (waiting_.empty()) {
    if (slots_->OthersWish()) return Retire(std::move(backend));
    backend->idle_since = loop_.Now();
    backend->stream().Watch();
    idle_.push_back(std::move(backend));
    return;
  }
  GrantOp& first = waiting_.First();
  // What was lent goes to another worker's waiter when it is that one's turn;
  // what is new serves ours first, or nobody would ever be served.
  const bool others_turn = backend->uses > 0 && slots_->ShouldGiveUp();
  // A connection that is spent on another client only takes up a slot.
  if (others_turn || !introducer_.MayCarry(*backend, first.identity())) {
    return Retire(std::move(backend));
  }
  waiting_.EndTurn(first);
  first.Complete(std::move(backend));
}

}  // namespace tlspost
