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

WorkerShared::WorkerShared(const Settings& its_settings,
                           std::vector<io::Endpoint> backend, int workers,
                           Log& its_log)
    : settings(its_settings),
      backend_addresses(std::move(backend)),
      log(its_log),
      slots(settings.backend_max_connections, workers),
      connections(settings.max_connections),
      policies(settings),
      handshakes(settings.tls_handshake_limit,
                 settings.client_tls_handshake_limit,
                 // FindSettingsProblem has seen that these are networks.
                 *io::ParseNetworks(settings.client_event_limit_exceptions)) {}

Worker::Worker(io::Loop& loop, WorkerShared& shared, WorkerTls tls,
               std::string instance)
    : loop_(loop),
      shared_(shared),
      pool_(loop, shared.settings, shared.backend_addresses,
            std::move(tls.backend), shared.slots, shared.notes, shared.log,
            counters_),
      services_{loop,
                shared.settings,
                pool_,
                shared.log,
                counters_,
                shared.policies,
                shared.handshakes,
                std::move(tls.clients),
                std::move(instance),
                /*transactions=*/0},
      session_tasks_(loop),
      accept_tasks_(loop),
      drain_task_(loop) {}

absl::Status Worker::Listen(const std::vector<ListenAddress>& addresses) {
  for (const ListenAddress& address : addresses) {
    auto listener = loop_.Listen(address.endpoint, io::ListenOptions());
    if (!listener.ok()) return listener.status();
    fronts_.emplace_back(new Front{*std::move(listener), address.implicit_tls});
  }
  return absl::OkStatus();
}

std::vector<ListenAddress> Worker::listening() const {
  std::vector<ListenAddress> addresses;
  for (const auto& front : fronts_) {
    addresses.push_back({front->listener->local(), front->implicit_tls});
  }
  return addresses;
}

void Worker::UseTls(WorkerTls tls) {
  services_.tls = std::move(tls.clients);
  pool_.UseTls(std::move(tls.backend));
}

void Worker::Start() {
  pool_.Start();
  for (const auto& front : fronts_) accept_tasks_.Spawn(AcceptFrom(*front));
}

Task<void> Worker::AcceptFrom(Front& front) {
  while (true) {
    auto accepted = co_await front.listener->Accept();
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
      session_tasks_.Spawn(TurnAway(*std::move(accepted), front.implicit_tls));
    } else {
      session_tasks_.Spawn(Serve(*std::move(accepted), front.implicit_tls));
    }
  }
}

Task<void> Worker::Serve(std::unique_ptr<io::Stream> stream,
                         bool implicit_tls) {
  Session session(services_, std::move(stream), implicit_tls);
  sessions_.PushBack(session);
  co_await session.Run();
  shared_.connections.Leave();
}

Task<void> Worker::TurnAway(std::unique_ptr<io::Stream> stream,
                            bool implicit_tls) {
  ++counters_.sessions_refused;
  // Words in plaintext mean nothing where TLS comes first, and a handshake is
  // too dear for a client that is turned away.
  if (implicit_tls) co_return;
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
  for (const auto& front : fronts_) front->listener->Close();
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
