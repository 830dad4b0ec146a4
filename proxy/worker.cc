// Accepting, serving and draining on one thread.

#include "proxy/worker.h"

#include <chrono>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "common/smtp/reply.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Out of descriptors: the next accept would fail as well.
constexpr io::Duration kAcceptPause = 100ms;
// A client that is turned away gets this long to take the 421.
constexpr io::Duration kTurnAwayTimeout = 5s;
// What is closed by force at the end of a drain gets this long to unwind.
constexpr io::Duration kUnwindTimeout = 5s;

}  // namespace

Worker::Worker(io::Loop& loop, const WorkerShared& shared,
               std::shared_ptr<tls::TlsContext> tls, std::string instance)
    : loop_(loop),
      shared_(shared),
      pool_(loop, shared.settings, shared.backend_addresses, shared.slots,
            shared.log, counters_),
      services_{loop,
                shared.settings,
                pool_,
                shared.log,
                counters_,
                std::move(tls),
                std::move(instance),
                /*transactions=*/0},
      session_tasks_(loop),
      accept_tasks_(loop),
      drain_task_(loop) {}

absl::Status Worker::Listen() {
  for (const io::Endpoint& endpoint : shared_.listen) {
    auto listener = loop_.Listen(endpoint, io::ListenOptions());
    if (!listener.ok()) return listener.status();
    listeners_.push_back(*std::move(listener));
  }
  return absl::OkStatus();
}

std::vector<io::Endpoint> Worker::listening() const {
  std::vector<io::Endpoint> endpoints;
  for (const auto& listener : listeners_) {
    endpoints.push_back(listener->local());
  }
  return endpoints;
}

void Worker::Start() {
  pool_.Start();
  for (const auto& listener : listeners_) {
    accept_tasks_.Spawn(AcceptFrom(*listener));
  }
}

Task<void> Worker::AcceptFrom(io::Listener& listener) {
  while (true) {
    auto accepted = co_await listener.Accept();
    if (absl::IsCancelled(accepted.status())) co_return;
    if (!accepted.ok()) {
      shared_.log.Warning(absl::StrFormat(
          "%s; clients wait until descriptors are free (raise LimitNOFILE or "
          "lower max_connections)",
          MessageOf(accepted.status())));
      co_await io::SleepOp(loop_, loop_.Now() + kAcceptPause);
      continue;
    }
    if (draining_ || !shared_.connections.Enter()) {
      session_tasks_.Spawn(TurnAway(*std::move(accepted)));
    } else {
      session_tasks_.Spawn(Serve(*std::move(accepted)));
    }
  }
}

Task<void> Worker::Serve(std::unique_ptr<io::Stream> stream) {
  Session session(services_, std::move(stream));
  sessions_.PushBack(session);
  co_await session.Run();
  shared_.connections.Leave();
}

Task<void> Worker::TurnAway(std::unique_ptr<io::Stream> stream) {
  ++counters_.sessions_refused;
  const smtp::Reply& why =
      draining_ ? smtp::reply::kShuttingDown : smtp::reply::kTooManyConnections;
  const std::string words = smtp::WithHost(why, shared_.settings.hostname);
  ClientChannel client(std::move(stream), smtp::kDefaultLineLengthLimit,
                       kTurnAwayTimeout);
  client.Say(words);
  const absl::Status sent = co_await client.Flush();
  if (!sent.ok()) co_return;
  const io::Time deadline = loop_.Now() + kTurnAwayTimeout;
  co_await client.stream().Linger(deadline);
}

void Worker::Drain() {
  if (draining_) return;
  draining_ = true;
  drain_task_.Spawn(DrainAndStop());
}

Task<void> Worker::DrainAndStop() {
  for (const auto& listener : listeners_) listener->Close();
  sessions_.ForEach([](Session& session) { session.Drain(); });
  const io::Time drain_end = loop_.Now() + shared_.settings.drain_timeout;
  const bool drained = co_await session_tasks_.Drained(drain_end);
  if (!drained) {
    shared_.log.Warning(absl::StrFormat(
        "drain_timeout: %d sessions are cut off", session_tasks_.size()));
    sessions_.ForEach([](Session& session) { session.Abort(); });
    // Some of them wait for the backend and not for their client.
    pool_.CutOff();
  }
  const io::Time unwind_end = loop_.Now() + kUnwindTimeout;
  const bool accepting_ended = co_await accept_tasks_.Drained(unwind_end);
  const bool unwound = co_await session_tasks_.Drained(unwind_end);
  const bool pool_closed = co_await pool_.Shutdown(unwind_end);
  clean_ = accepting_ended && unwound && pool_closed;
  loop_.Stop();
}

}  // namespace tlspost
