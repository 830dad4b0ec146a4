// Opening, keeping and closing the pool's connections.

#include <algorithm>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "common/smtp/text.h"
#include "proxy/backend_pool.h"
#include "proxy/dialing.h"
#include "proxy/grant_op.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

// How often idle connections are looked at.
constexpr io::Duration kMaintenanceInterval = 1s;
// A connection that is given up says QUIT and waits this long for the answer.
constexpr io::Duration kQuitTimeout = 2s;
// Who waits for a connection that takes longer to open than this gets a second
// chance, with another backend.
constexpr io::Duration kSlowDial = 1s;

}  // namespace

void BackendPool::Start() {
  tasks_.Spawn(Maintain());
  Grow();
}

void BackendPool::CutOff() {
  stopping_ = true;
  while (!waiting_.empty()) {
    waiting_.First().Complete(absl::CancelledError("stopping"));
  }
  for (Backend* backend : lent_) backend->stream().Close();
}

void BackendPool::EndDial(Dialing& dialing) {
  if (dialing.backend != nullptr) {
    dialing.backend->stream().Close();
  } else {
    dialing.connect->Cancel();
  }
}

Task<bool> BackendPool::Shutdown(io::Time deadline) {
  stopping_ = true;
  slots_->ForgetWish();
  while (!waiting_.empty()) {
    waiting_.First().Complete(absl::CancelledError("stopping"));
  }
  while (!idle_.empty()) {
    std::unique_ptr<Backend> backend = std::move(idle_.back());
    idle_.pop_back();
    Retire(std::move(backend));
  }
  for (Backend* backend : resetting_) backend->stream().Close();
  for (Dialing* dialing : dialing_) EndDial(*dialing);
  maintenance_.WakeAll(absl::OkStatus());
  while (open_ > 0) {
    const absl::Status woken = co_await emptied_.Wait(deadline);
    if (!woken.ok()) co_return false;
  }
  const bool drained = co_await tasks_.Drained(deadline);
  co_return drained;
}

// --- opening --------------------------------------------------------------

int BackendPool::Spares() const {
  // A connection that is spent on one client is no spare.
  const auto spare = [this](const std::unique_ptr<Backend>& backend) {
    return introducer_.MayCarryAnyone(*backend);
  };
  return static_cast<int>(std::count_if(idle_.begin(), idle_.end(), spare));
}

std::vector<BackendTarget*> BackendPool::SlowTargets() const {
  std::vector<BackendTarget*> slow;
  if (targets_.size() == 1) return slow;
  for (const Dialing* dialing : dialing_) {
    if (loop_.Now() - dialing->started < kSlowDial) continue;
    slow.push_back(&dialing->target);
  }
  return slow;
}

// Whether something may still be expected of it: it is not slow, or there is
// no backend that would be faster.
bool BackendPool::Counts(const Dialing& dialing) const {
  const bool is_current =
      dialing.opening == opening_ && !dialing.target.is_removed();
  if (!is_current) return false;
  if (IsProbe(dialing.target)) return false;
  if (loop_.Now() - dialing.started < kSlowDial) return true;
  const std::vector<BackendTarget*> slow = SlowTargets();
  const BackendTarget* best = targets_.BestToDial(loop_.Now(), slow);
  return best == nullptr || best->is_down() ||
         std::find(slow.begin(), slow.end(), best) != slow.end() ||
         slow.empty();
}

int BackendPool::CountedDials() const {
  return static_cast<int>(std::count_if(
      dialing_.begin(), dialing_.end(),
      [this](const Dialing* dialing) { return Counts(*dialing); }));
}

int BackendPool::WaitersUnserved() {
  if (introducer_.opens_per_client()) return WaitersWithoutDial();
  return std::max(0, waiting() - CountedDials());
}

int BackendPool::DialsMissing() {
  if (!introducer_.opens_per_client()) {
    const int spares = Spares();
    int wanted =
        waiting() + std::max(0, settings_->backend_warm_spares - spares);
    // Any connection tells what can be offered to clients.
    if (!knows_capabilities_ && spares == 0) wanted = std::max(wanted, 1);
    return wanted - CountedDials();
  }
  const int unserved = WaitersUnserved();
  const bool is_unknown = !knows_capabilities_ && CountedDials() == 0;
  return unserved == 0 && is_unknown ? 1 : unserved;
}

// Whether a connection to it is only to find out if it is back.
bool BackendPool::IsProbe(const BackendTarget& target) const {
  return target.is_down() && !targets_.all_down();
}

// Before those who wait as well, or a crowd that one backend cannot serve would
// keep the other from ever being found again; but one at a time, and only
// beside connections that serve these.
bool BackendPool::MayProbe() const {
  if (waiting_.empty()) return true;
  const bool is_probing = std::any_of(
      dialing_.begin(), dialing_.end(),
      [](const Dialing* dialing) { return dialing->target.is_down(); });
  const bool are_served =
      CountedDials() > 0 ||
      std::any_of(lent_.begin(), lent_.end(),
                  [](const Backend* backend) { return !backend->dedicated(); });
  return !is_probing && are_served;
}

// Where the next connection is to be opened to; null: nowhere now.
BackendTarget* BackendPool::NextTarget() {
  const io::Time now = loop_.Now();
  BackendTarget* const probe = targets_.DueForProbe(now);
  if (probe != nullptr && targets_.size() > 1 && MayProbe()) return probe;
  if (DialsMissing() > 0) return targets_.BestToDial(now, SlowTargets());
  // Also without anybody who needs it: /readyz tells those who send clients.
  if (probe != nullptr) return probe;
  return std::exchange(underused_, nullptr);
}

void BackendPool::Grow() {
  while (!stopping_) {
    if (WaitersUnserved() == 0) slots_->ForgetWish();
    BackendTarget* const target = NextTarget();
    // With nowhere to go a slot would only be kept from other workers.
    if (target == nullptr) return slots_->ForgetWish();
    if (!TakeSlot()) return;
    ++open_;
    ++target->open;
    tasks_.Spawn(Dial(*target));
  }
}

bool BackendPool::TakeSlot() {
  if (WaitersUnserved() == 0) return slots_->TakeSpare();
  if (slots_->Take()) return true;
  // Our own idle connections did not suit whoever waits: they are spent. The
  // slot comes back when the server has seen the QUIT.
  if (!idle_.empty()) {
    std::unique_ptr<Backend> oldest = std::move(idle_.front());
    idle_.erase(idle_.begin());
    Retire(std::move(oldest));
  }
  return false;
}

Task<void> BackendPool::Dial(BackendTarget& target) {
  const int opening = opening_;
  io::Time began = loop_.Now();
  auto opened = co_await OpenConnection(target);
  const bool once_more =
      absl::IsAborted(opened.status()) && !stopping_ && !target.is_removed();
  if (once_more) {
    began = loop_.Now();
    opened = co_await OpenConnection(target);
  }
  if (opened.ok()) {
    Opened(*std::move(opened));
  } else {
    SlotFree(target);
    const bool is_refusal = absl::IsPermissionDenied(opened.status());
    // A failure under other settings says nothing of these.
    const bool matters = !stopping_ && !is_refusal && opening == opening_ &&
                         !target.is_removed();
    if (matters) DialFailed(target, began, opened.status());
  }
  Grow();
}

Task<absl::StatusOr<std::unique_ptr<Backend>>> BackendPool::OpenConnection(
    BackendTarget& target) {
  const io::Time deadline = loop_.Now() + settings_->backend_connect_timeout;
  const io::Endpoint& address = target.endpoint();
  io::ConnectOp connect(loop_, address, deadline);
  Dialing dialing(target, opening_, loop_.Now());
  if (introducer_.opens_per_client()) ChooseClient(dialing);
  dialing.connect = &connect;
  dialing_.push_back(&dialing);
  ++target.dialing;
  auto connected = co_await connect;
  if (!connected.ok()) {
    DialEnded(dialing);
    co_return connected.status();
  }
  auto backend = std::make_unique<Backend>(*std::move(connected));
  backend->target = &target;
  backend->opening = dialing.opening;
  backend->counters = &counters_;
  dialing.backend = backend.get();
  if (stopping_) backend->stream().Close();
  Backend& opening = *backend;
  const absl::Status open = co_await OpenBackend(opening, dialing, deadline);
  DialEnded(dialing);
  if (!open.ok()) {
    const bool is_refusal = TurnAway(dialing, opening);
    if (is_refusal) {
      co_return MakeStatus(absl::StatusCode::kPermissionDenied,
                           MessageOf(open));
    }
    co_return MakeStatus(
        open.code(),
        absl::StrFormat("%s: %s", address.ToString(), MessageOf(open)));
  }
  co_return backend;
}

Task<absl::Status> BackendPool::OpenBackend(Backend& backend,
                                            const Dialing& dialing,
                                            io::Time deadline) {
  const smtp::ClientIdentity* client =
      dialing.client.has_value() ? &*dialing.client : nullptr;
  if (!dialing.header.empty()) {
    CO_TRY(co_await backend.Announce(dialing.header, client, deadline));
    ++counters_.proxy_headers;
  }
  // A connection that has one client only speaks in that client's name.
  const std::string hello = client == nullptr
                                ? settings_->hostname
                                : smtp::SanitizeForDomain(client->helo);
  CO_TRY(co_await backend.Open(hello, notes_.own_mark, deadline));
  NoteTlsOffer(backend);
  const bool wants_tls = WantsTls(backend);
  if (wants_tls) CO_TRY(co_await StartTls(backend, hello, deadline));
  backend.LeaveOut(settings_->discard_ehlo_keywords);
  co_return absl::OkStatus();
}

void BackendPool::DialEnded(Dialing& dialing) {
  --dialing.target.dialing;
  std::erase(dialing_, &dialing);
}

void BackendPool::Opened(std::unique_ptr<Backend> backend) {
  ++counters_.backend_connects;
  counters_.Observe(Phase::kBackendConnect, loop_.Now() - backend->opened_at);
  BackendTarget& target = *backend->target;
  target.NoteOpened();
  const std::optional<io::Duration> outage =
      target.outage().NoteOpened(loop_.Now());
  if (outage.has_value()) {
    log_.Info(absl::StrFormat("backend %s answers again after %.1f seconds",
                              target.endpoint().ToString(),
                              io::ToSeconds(*outage)));
  }
  if (stopping_ || !IsCurrent(*backend)) return Retire(std::move(backend));
  NoteCapabilities(target, *backend);
  if (introducer_.opens_per_client()) {
    HandOver(std::move(backend));
  } else {
    Offer(std::move(backend));
  }
}

// Clients are offered what all backends have. Those that were offered more
// before hear 455 when they use it.
void BackendPool::NoteCapabilities(BackendTarget& target,
                                   const Backend& backend) {
  const std::optional<smtp::EhloCapabilities> before =
      std::exchange(target.capabilities, backend.capabilities());
  capabilities_ = targets_.CommonCapabilities();
  knows_capabilities_ = true;
  if (!before.has_value()) return;
  const std::string changes = smtp::Difference(*before, backend.capabilities());
  if (changes.empty() || !notes_.other_capabilities.Due(loop_.Now())) return;
  log_.Info(absl::StrFormat(
      "backend %s: its EHLO list has changed: %s; clients are offered the new "
      "one from their next EHLO on",
      target.endpoint().ToString(), smtp::SanitizeForHeader(changes)));
}

void BackendPool::DialFailed(BackendTarget& target, io::Time began,
                             const absl::Status& why) {
  ++counters_.backend_connect_failures;
  // Whatever the cause, to those who wait the backend is not available, or not
  // in the way that is required.
  last_failure_ = MakeStatus(absl::IsFailedPrecondition(why)
                                 ? absl::StatusCode::kFailedPrecondition
                                 : absl::StatusCode::kUnavailable,
                             MessageOf(why));
  const io::Duration pause =
      target.NoteFailure(began, loop_.Now(), settings_->backend_backoff_min,
                         settings_->backend_backoff_max, loop_.Random());
  LogDialFailure(target, why, pause);
  maintenance_.WakeAll(absl::OkStatus());
  ServeFromIdle();
  const bool is_hope_left =
      open_ > 0 || targets_.BestToDial(loop_.Now(), {}) != nullptr;
  if (is_hope_left) return;
  while (!waiting_.empty()) waiting_.First().Complete(last_failure_);
}

// An idle connection to a backend in trouble is held back while another backend
// may be had instead; now perhaps none can.
void BackendPool::ServeFromIdle() {
  while (!waiting_.empty()) {
    GrantOp& first = waiting_.First();
    std::unique_ptr<Backend> idle = TakeIdle(first.identity());
    if (idle == nullptr) return;
    waiting_.EndTurn(first);
    first.Complete(std::move(idle));
  }
}

// Once for all workers when it goes down, and then now and then.
void BackendPool::LogDialFailure(BackendTarget& target, const absl::Status& why,
                                 io::Duration pause) {
  const std::optional<OutageNote::Outage> outage =
      target.outage().NoteFailure(loop_.Now());
  if (!outage.has_value()) return;
  const std::string_view clients = targets_.all_down()
                                       ? "clients get 451 until it does"
                                       : "others serve meanwhile";
  if (outage->is_news) {
    log_.Warning(
        absl::StrFormat("backend: %s; %s; next attempt in %.1f seconds",
                        MessageOf(why), clients, io::ToSeconds(pause)));
    return;
  }
  log_.Warning(absl::StrFormat(
      "backend %s is down for %.0f seconds now, %d attempts "
      "have failed: %s; %s",
      target.endpoint().ToString(), io::ToSeconds(outage->lasting),
      outage->failures, MessageOf(why), clients));
}

// --- closing --------------------------------------------------------------

void BackendPool::Retire(std::unique_ptr<Backend> backend) {
  tasks_.Spawn(SayQuit(std::move(backend)));
}

Task<void> BackendPool::SayQuit(std::unique_ptr<Backend> backend) {
  const io::Time deadline = loop_.Now() + kQuitTimeout;
  const absl::Status sent = co_await backend->Send("QUIT\r\n", 1, deadline);
  if (sent.ok()) {
    const auto reply =
        co_await backend->ReadReply(deadline, BackendStep::kQuit);
    static_cast<void>(reply);  // whatever it says, the connection ends
  }
  CloseNow(std::move(backend));
  Grow();
}

void BackendPool::CloseNow(std::unique_ptr<Backend> backend) {
  BackendTarget& target = *backend->target;
  backend.reset();
  SlotFree(target);
}

void BackendPool::SlotFree(BackendTarget& target) {
  TLSPOST_CHECK(open_ > 0 && target.open > 0);
  --open_;
  --target.open;
  slots_->Release();
  if (open_ == 0) emptied_.WakeAll(absl::OkStatus());
}

void BackendPool::GiveUpIdle() {
  if (idle_.empty() || !slots_->OthersWish()) return;
  std::unique_ptr<Backend> oldest = std::move(idle_.front());
  idle_.erase(idle_.begin());
  Retire(std::move(oldest));
}

// --- upkeep ---------------------------------------------------------------

Task<void> BackendPool::Maintain() {
  while (!stopping_) {
    io::Time wake = loop_.Now() + kMaintenanceInterval;
    wake = std::min(wake, targets_.NextRetry(loop_.Now()));
    const absl::Status woken = co_await maintenance_.Wait(wake);
    static_cast<void>(woken);  // the time has come, or there is news
    DropIdle();
    targets_.ForgetRemoved();
    Grow();
  }
}

void BackendPool::DropIdle() {
  std::vector<std::unique_ptr<Backend>> kept;
  for (std::unique_ptr<Backend>& backend : idle_) {
    if (backend->readable()) {
      ++counters_.backend_stale;
      CloseNow(std::move(backend));
    } else if (slots_->IsOverMax() ||
               loop_.Now() - backend->idle_since >=
                   settings_->backend_idle_timeout ||
               !WorthKeeping(*backend)) {
      Retire(std::move(backend));
    } else {
      kept.push_back(std::move(backend));
    }
  }
  idle_ = std::move(kept);
}

}  // namespace tlspost
