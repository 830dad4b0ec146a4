// Opening, keeping and closing the pool's connections.

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/co_try.h"
#include "common/base/status.h"
#include "proxy/backend_pool.h"
#include "proxy/grant_op.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

// How often idle connections are looked at.
constexpr io::Duration kMaintenanceInterval = 1s;
// A connection that is given up says QUIT and waits this long for the answer.
constexpr io::Duration kQuitTimeout = 2s;

}  // namespace

// A connection that is being opened, so that a shutdown can end it.
struct BackendPool::Dialing {
  io::ConnectOp* connect = nullptr;
  Backend* backend = nullptr;
};

void BackendPool::Start() {
  tasks_.Spawn(Maintain());
  Grow();
}

void BackendPool::CutOff() {
  stopping_ = true;
  while (!waiting_.empty()) {
    waiting_.front().Complete(absl::CancelledError("stopping"));
  }
  for (Backend* backend : lent_) backend->stream().Close();
}

Task<bool> BackendPool::Shutdown(io::Time deadline) {
  stopping_ = true;
  slots_->ForgetWish();
  while (!waiting_.empty()) {
    waiting_.front().Complete(absl::CancelledError("stopping"));
  }
  while (!idle_.empty()) {
    std::unique_ptr<Backend> backend = std::move(idle_.back());
    idle_.pop_back();
    Retire(std::move(backend));
  }
  for (Dialing* dialing : dialing_) {
    if (dialing->backend != nullptr) {
      dialing->backend->stream().Close();
    } else {
      dialing->connect->Cancel();
    }
  }
  maintenance_.WakeAll(absl::OkStatus());
  while (open_ > 0) {
    const absl::Status woken = co_await emptied_.Wait(deadline);
    if (!woken.ok()) co_return false;
  }
  const bool drained = co_await tasks_.Drained(deadline);
  co_return drained;
}

// --- opening --------------------------------------------------------------

int BackendPool::SparesMissing() const {
  // A connection that is spent on one client is no spare.
  const auto spare = [this](const std::unique_ptr<Backend>& backend) {
    return !SendsIdentity(*backend) || backend->introductions() == 0 ||
           identity_reuse_ != IdentityReuse::kOnce;
  };
  const auto spares = std::count_if(idle_.begin(), idle_.end(), spare);
  // The first connection tells what can be offered to clients.
  const int wanted = std::max(settings_.backend_warm_spares,
                              capabilities_.has_value() ? 0 : 1);
  return std::max(0, wanted - static_cast<int>(spares));
}

void BackendPool::Grow() {
  while (!stopping_) {
    const int dialing = static_cast<int>(dialing_.size());
    const int wanted = static_cast<int>(waiting_count_) + SparesMissing();
    if (waiting_count_ <= dialing_.size()) slots_->ForgetWish();
    if (dialing >= wanted) return;
    // A backend that does not answer is tried by one connection at a time.
    if (failures_ > 0 && (dialing > 0 || loop_.Now() < retry_at_)) return;
    if (!TakeSlot()) return;
    ++open_;
    tasks_.Spawn(Dial());
  }
}

bool BackendPool::TakeSlot() {
  if (waiting_count_ <= dialing_.size()) return slots_->TakeSpare();
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

Task<void> BackendPool::Dial() {
  auto opened = co_await OpenConnection();
  const bool once_more = absl::IsAborted(opened.status()) && !stopping_;
  if (once_more) opened = co_await OpenConnection();
  if (opened.ok()) {
    Opened(*std::move(opened));
  } else {
    SlotFree();
    if (!stopping_) DialFailed(opened.status());
  }
  Grow();
}

Task<absl::StatusOr<std::unique_ptr<Backend>>> BackendPool::OpenConnection() {
  const io::Time deadline = loop_.Now() + settings_.backend_connect_timeout;
  const io::Endpoint& address = addresses_[next_address_ % addresses_.size()];
  io::ConnectOp connect(loop_, address, deadline);
  Dialing dialing;
  dialing.connect = &connect;
  dialing_.push_back(&dialing);
  auto connected = co_await connect;
  if (!connected.ok()) {
    std::erase(dialing_, &dialing);
    co_return connected.status();
  }
  auto backend = std::make_unique<Backend>(*std::move(connected));
  dialing.backend = backend.get();
  if (stopping_) backend->stream().Close();
  Backend& opening = *backend;
  const absl::Status open = co_await OpenBackend(opening, deadline);
  std::erase(dialing_, &dialing);
  if (!open.ok()) {
    co_return MakeStatus(
        open.code(),
        absl::StrFormat("%s: %s", address.ToString(), MessageOf(open)));
  }
  co_return backend;
}

Task<absl::Status> BackendPool::OpenBackend(Backend& backend,
                                            io::Time deadline) {
  CO_TRY(co_await backend.Open(settings_.hostname, deadline));
  NoteTlsOffer(backend);
  const bool wants_tls = WantsTls(backend);
  if (!wants_tls) co_return absl::OkStatus();
  absl::Status secured = co_await StartTls(backend, deadline);
  co_return secured;
}

void BackendPool::Opened(std::unique_ptr<Backend> backend) {
  ++counters_.backend_connects;
  if (failures_ > 0) {
    log_.Info(absl::StrFormat("backend %s answers again",
                              backend->stream().peer().ToString()));
    failures_ = 0;
    // It may have been given other settings meanwhile.
    identity_reuse_ = IdentityReuse::kUnknown;
  }
  capabilities_ = backend->capabilities();
  if (stopping_) {
    Retire(std::move(backend));
  } else {
    Offer(std::move(backend));
  }
}

void BackendPool::DialFailed(const absl::Status& why) {
  ++counters_.backend_connect_failures;
  ++failures_;
  ++next_address_;
  // Whatever the cause, to those who wait the backend is not available, or not
  // in the way that is required.
  last_failure_ = MakeStatus(absl::IsFailedPrecondition(why)
                                 ? absl::StatusCode::kFailedPrecondition
                                 : absl::StatusCode::kUnavailable,
                             MessageOf(why));
  const io::Duration longest = settings_.backend_backoff_max;
  io::Duration pause = settings_.backend_backoff_min;
  for (int i = 1; i < failures_ && pause < longest; ++i) pause *= 2;
  pause = std::min(pause, longest);
  // Jitter: the pools of all workers must not knock at the same moment.
  pause = pause / 2 + io::Duration(static_cast<int64_t>(
                          loop_.Random() % (pause.count() / 2 + 1)));
  retry_at_ = loop_.Now() + pause;
  log_.Warning(absl::StrFormat(
      "backend: %s; clients get 451 until it does; next attempt in %d ms",
      MessageOf(why),
      std::chrono::duration_cast<std::chrono::milliseconds>(pause).count()));
  maintenance_.WakeAll(absl::OkStatus());
  if (open_ > 0) return;
  while (!waiting_.empty()) waiting_.front().Complete(last_failure_);
}

// --- closing --------------------------------------------------------------

void BackendPool::Retire(std::unique_ptr<Backend> backend) {
  tasks_.Spawn(SayQuit(std::move(backend)));
}

Task<void> BackendPool::SayQuit(std::unique_ptr<Backend> backend) {
  const io::Time deadline = loop_.Now() + kQuitTimeout;
  const absl::Status sent = co_await backend->Send("QUIT\r\n", 1, deadline);
  if (sent.ok()) {
    const auto reply = co_await backend->ReadReply(deadline);
    static_cast<void>(reply);  // whatever it says, the connection ends
  }
  CloseNow(std::move(backend));
  Grow();
}

void BackendPool::CloseNow(std::unique_ptr<Backend> backend) {
  backend.reset();
  SlotFree();
}

void BackendPool::SlotFree() {
  TLSPOST_CHECK(open_ > 0);
  --open_;
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
    if (failures_ > 0 && retry_at_ > loop_.Now()) {
      wake = std::min(wake, retry_at_);
    }
    const absl::Status woken = co_await maintenance_.Wait(wake);
    static_cast<void>(woken);  // the time has come, or there is news
    DropIdle();
    Grow();
  }
}

void BackendPool::DropIdle() {
  std::vector<std::unique_ptr<Backend>> kept;
  for (std::unique_ptr<Backend>& backend : idle_) {
    if (backend->readable()) {
      ++counters_.backend_stale;
      CloseNow(std::move(backend));
    } else if (loop_.Now() - backend->idle_since >=
                   settings_.backend_idle_timeout ||
               !WorthKeeping(*backend)) {
      Retire(std::move(backend));
    } else {
      kept.push_back(std::move(backend));
    }
  }
  idle_ = std::move(kept);
}

}  // namespace tlspost
