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

BackendPool::BackendPool(io::Loop& loop, const Settings& settings,
                         std::vector<io::Endpoint> addresses,
                         std::shared_ptr<tls::TlsContext> tls,
                         SlotBudget& budget, BackendNotes& notes, Log& log,
                         Counters& counters)
    : loop_(loop),
      settings_(settings),
      addresses_(std::move(addresses)),
      tls_(std::move(tls)),
      notes_(notes),
      log_(log),
      counters_(counters),
      slots_(budget.Join(
          loop, [this] { Grow(); }, [this] { GiveUpIdle(); })),
      maintenance_(loop),
      emptied_(loop),
      tasks_(loop) {
  TLSPOST_REQUIRE(!addresses_.empty());
}

BackendPool::~BackendPool() {
  TLSPOST_CHECK(open_ == 0 && waiting_.empty() && idle_.empty());
}

// --- whose connection it is -----------------------------------------------

bool BackendPool::SendsIdentity(const Backend& backend) const {
  return settings_.backend_identity != BackendIdentity::kNone &&
         backend.capabilities().xclient.Has(smtp::ClientAttribute::kAddress);
}

bool BackendPool::MayCarry(const Backend& backend,
                           const smtp::ClientIdentity& identity) const {
  if (!SendsIdentity(backend)) return true;
  if (backend.introductions() == 0) return true;
  if (backend.identity() == identity) return true;
  return identity_reuse_ != IdentityReuse::kOnce;
}

Task<BackendPool::Acquired> BackendPool::Acquire(
    const smtp::ClientIdentity& identity, io::Time deadline) {
  Acquired acquired;
  for (int tries = 0; tries < kMaxAcquireTries; ++tries) {
    auto granted = co_await GrantOp(*this, identity, deadline);
    if (!granted.ok()) {
      ++counters_.leases_refused;
      acquired.refusal = RefusalFor(granted.status());
      co_return acquired;
    }
    lent_.push_back(granted->get());
    Lease lease(*this, *std::move(granted));
    const Introduction introduction =
        co_await Introduce(lease, identity, acquired.refusal);
    if (introduction == Introduction::kDone) {
      ++counters_.leases;
      ++lease->uses;
      acquired.lease = std::move(lease);
      co_return acquired;
    }
    if (introduction == Introduction::kRefused) {
      ++counters_.leases_refused;
      co_return acquired;
    }
  }
  ++counters_.leases_refused;
  acquired.refusal = smtp::reply::kBackendDown.text();
  co_return acquired;
}

Task<BackendPool::Introduction> BackendPool::Introduce(
    Lease& lease, const smtp::ClientIdentity& identity, std::string& refusal) {
  if (!SendsIdentity(*lease)) {
    if (settings_.backend_identity != BackendIdentity::kXclient) {
      co_return Introduction::kDone;
    }
    log_.Error(
        "the backend does not offer XCLIENT and backend_identity = xclient "
        "requires it; add our address to its smtpd_authorized_xclient_hosts");
    refusal = smtp::reply::kBackendDown.text();
    co_return Introduction::kRefused;
  }
  if (lease->identity() == identity) co_return Introduction::kDone;

  const bool was_used = lease->introductions() > 0;
  const io::Time deadline = loop_.Now() + settings_.backend_timeout;
  auto reply = co_await lease->Introduce(identity, deadline);
  if (!reply.ok() || reply->code == 421) {
    ++counters_.backend_stale;
    co_return Introduction::kTryAnother;
  }
  if (reply->code == 220) {
    ++counters_.xclients;
    const absl::Status learned = co_await LearnIdentityReuse(*lease, identity);
    co_return learned.ok() ? Introduction::kDone : Introduction::kTryAnother;
  }
  ++counters_.xclients_refused;
  // Not a word on this client, but on our right to say who it is.
  const bool unauthorized =
      reply->code == 550 && reply->text.find("5.7.0") != std::string::npos;
  if (was_used && (unauthorized || reply->code == 503)) {
    NoteIdentityReuse(IdentityReuse::kOnce);
    co_return Introduction::kTryAnother;
  }
  const bool misconfigured = unauthorized || reply->code < 400 ||
                             reply->code == 501 || reply->code == 503;
  if (misconfigured) {
    log_.Error(absl::StrFormat(
        "the backend refuses the identity of %s: %s; its mail gets 451 until "
        "this is mended",
        identity.address, smtp::FirstLine(reply->text)));
    refusal = smtp::reply::kBackendDown.text();
  } else {
    // The backend's decision on this client (edge 99).
    refusal = std::move(reply->text);
  }
  co_return Introduction::kRefused;
}

Task<absl::Status> BackendPool::LearnIdentityReuse(
    Backend& backend, const smtp::ClientIdentity& identity) {
  // A backend that takes no HELO in XCLIENT wants to hear it after each.
  const bool needs_ehlo =
      !backend.capabilities().xclient.Has(smtp::ClientAttribute::kHelo);
  const bool wants_to_know =
      identity_reuse_ == IdentityReuse::kUnknown && identity.esmtp;
  if (!needs_ehlo && !wants_to_know) co_return absl::OkStatus();
  const io::Time deadline = loop_.Now() + settings_.backend_timeout;
  CO_TRY_LET(offered, co_await backend.GreetAs(identity, deadline));
  NoteIdentityReuse(offered.xclient.empty() ? IdentityReuse::kOnce
                                            : IdentityReuse::kMany);
  co_return absl::OkStatus();
}

void BackendPool::NoteIdentityReuse(IdentityReuse reuse) {
  if (identity_reuse_ == reuse) return;
  identity_reuse_ = reuse;
  if (reuse != IdentityReuse::kOnce || !notes_.single_use.Due(loop_.Now())) {
    return;
  }
  log_.Warning(
      "the backend takes one XCLIENT per connection, so each connection serves "
      "one client; for full reuse give tlspost a listener of its own with "
      "smtpd_authorized_xclient_hosts = 0.0.0.0/0, [::]/0 (see the README)");
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
  // The client's own connection needs no XCLIENT; else the warmest one.
  auto own = std::find_if(idle_.begin(), idle_.end(), [&](const auto& backend) {
    return SendsIdentity(*backend) && backend->identity() == identity;
  });
  if (own == idle_.end()) {
    const auto warmest = std::find_if(
        idle_.rbegin(), idle_.rend(),
        [&](const auto& backend) { return MayCarry(*backend, identity); });
    if (warmest == idle_.rend()) return nullptr;
    own = std::prev(warmest.base());
  }
  std::unique_ptr<Backend> backend = std::move(*own);
  idle_.erase(own);
  return backend;
}

bool BackendPool::WorthKeeping(const Backend& backend) const {
  return backend.errors < settings_.backend_max_errors &&
         backend.uses < settings_.backend_max_uses &&
         loop_.Now() - backend.opened_at < settings_.backend_max_age;
}

void BackendPool::GiveBack(std::unique_ptr<Backend> backend, bool reusable) {
  std::erase(lent_, backend.get());
  if (!reusable) {
    CloseNow(std::move(backend));
  } else if (!backend->at_boundary()) {
    // Something came that nobody asked for: whose reply would it be?
    ++counters_.backend_dirty;
    CloseNow(std::move(backend));
  } else if (stopping_ || backend->dedicated() || !WorthKeeping(*backend)) {
    Retire(std::move(backend));
  } else {
    Offer(std::move(backend));
  }
  Grow();
}

void BackendPool::Offer(std::unique_ptr<Backend> backend) {
  TLSPOST_CHECK(!backend->dedicated());
  if (waiting_.empty()) {
    if (slots_->OthersWish()) return Retire(std::move(backend));
    backend->idle_since = loop_.Now();
    backend->stream().Watch();
    idle_.push_back(std::move(backend));
    return;
  }
  GrantOp& first = waiting_.front();
  // What was lent goes to another worker's waiter when it is that one's turn;
  // what is new serves ours first, or nobody would ever be served.
  const bool others_turn = backend->uses > 0 && slots_->ShouldGiveUp();
  // A connection that is spent on another client only takes up a slot.
  if (others_turn || !MayCarry(*backend, first.identity())) {
    return Retire(std::move(backend));
  }
  first.Complete(std::move(backend));
}

}  // namespace tlspost
