// Accepting, serving and draining on one thread.

#include "proxy/worker.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/status.h"
#include "common/io/descriptor.h"
#include "common/smtp/reply.h"
#include "proxy/client_conduct.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// Out of descriptors: the next accept would fail as well.
constexpr io::Duration kAcceptPause = 100ms;
// Descriptors last again when no accept has failed for so long.
constexpr io::Duration kAcceptCalm = 5s;
// A client that is turned away gets this long to take the 421, and to close.
constexpr io::Duration kTurnAwayTimeout = 2s;
// Who is still to hand in its first mail when the service ends has this time
// for it, if others wait to be served.
constexpr io::Duration kFirstMailTime = 3s;
constexpr ClientChannel::Terms kTurnAwayTerms = {kTurnAwayTimeout};
// What is closed by force at the end of a drain gets this long to unwind.
constexpr io::Duration kUnwindTimeout = 5s;

}  // namespace

WorkerShared::WorkerShared(Settings settings,
                           std::vector<BackendAddress> backends, int workers,
                           Log& its_log)
    : generation(std::make_shared<const Generation>(std::move(settings),
                                                    std::move(backends))),
      log(its_log),
      slots(generation->settings.backend_max_connections, workers),
      connections(generation->settings.max_connections),
      clients(ClientLimits::OptionsOf(generation->settings)),
      handshakes(generation->settings.tls_handshake_limit),
      overload(generation->settings.max_connections,
               generation->settings.stress_percent) {}

void WorkerShared::UseLimits(const Settings& settings) {
  slots.SetMax(settings.backend_max_connections);
  connections.SetMax(settings.max_connections);
  clients.SetOptions(ClientLimits::OptionsOf(settings));
  handshakes.SetTotal(settings.tls_handshake_limit);
  overload.SetBounds(settings.max_connections, settings.stress_percent);
}

Worker::Worker(io::Loop& loop, WorkerShared& shared, WorkerTls tls,
               std::string instance)
    : loop_(loop),
      shared_(shared),
      generation_(shared.generation),
      pool_(loop, SettingsOf(generation_), generation_->backends,
            std::move(tls.backend), shared.slots, shared.notes, shared.log,
            counters_),
      names_(loop, shared.resolver),
      tls_(std::move(tls.clients)),
      instance_(std::move(instance)),
      delays_(loop),
      session_tasks_(loop),
      turned_away_(loop),
      accept_tasks_(loop),
      drain_task_(loop) {}

std::shared_ptr<SessionServices> Worker::ServicesFor(size_t terms) {
  const FrontTerms& front_terms = *generation_->terms[terms];
  return std::make_shared<SessionServices>(
      SessionServices{loop_,
                      front_terms.settings,
                      pool_,
                      shared_.log,
                      counters_,
                      records_,
                      front_terms.policies,
                      shared_.handshakes,
                      tls_,
                      instance_,
                      transactions_,
                      overloaded_,
                      draining_,
                      delays_,
                      names_.enabled() ? &names_ : nullptr,
                      {front_terms.settings.command_timeout, &shared_.trace,
                       &counters_.client_replies},
                      generation_});
}

absl::Status Worker::Listen(const std::vector<ListenAddress>& addresses) {
  for (const ListenAddress& address : addresses) {
    const absl::Status opened = OpenFront(address);
    if (!opened.ok()) return opened;
  }
  return absl::OkStatus();
}

absl::Status Worker::OpenFront(const ListenAddress& address) {
  io::ListenOptions options;
  options.socket = address.socket;
  auto listener = loop_.Listen(address.endpoint, options);
  if (!listener.ok()) return listener.status();
  fronts_.emplace_back(
      new Front{*std::move(listener), address, ServicesFor(address.terms)});
  return absl::OkStatus();
}

std::vector<ListenAddress> Worker::listening() const {
  std::vector<ListenAddress> addresses;
  for (const auto& front : fronts_) {
    addresses.push_back(front->address);
    addresses.back().endpoint = front->listener->local();
  }
  return addresses;
}

void Worker::UseTls(WorkerTls tls) {
  tls_ = std::move(tls.clients);
  for (const auto& front : fronts_) front->services->tls = tls_;
  pool_.UseTls(std::move(tls.backend));
}

void Worker::UseGeneration(std::shared_ptr<const Generation> generation,
                           WorkerTls tls,
                           std::vector<ListenAddress> addresses) {
  if (leaving_) {  // nobody comes any more
    for (const ListenAddress& address : addresses) {
      const io::Descriptor unused(address.socket);
    }
    return;
  }
  generation_ = std::move(generation);
  tls_ = std::move(tls.clients);
  std::vector<std::shared_ptr<Front>> before = std::move(fronts_);
  fronts_.clear();
  for (const ListenAddress& address : addresses) {
    if (address.socket >= 0) {
      const absl::Status open = OpenFront(address);
      // It is bound; only the kernel may have no room to watch it.
      if (!open.ok()) {
        shared_.log.Error(absl::StrFormat(
            "reload: this worker does not serve %s", MessageOf(open)));
        continue;
      }
      accept_tasks_.Spawn(AcceptFrom(fronts_.back()));
      continue;
    }
    const auto same =
        std::find_if(before.begin(), before.end(), [&](const auto& front) {
          return front != nullptr && front->address.number == address.number;
        });
    if (same == before.end()) continue;  // as said when it was to be opened
    fronts_.push_back(std::move(*same));
    fronts_.back()->address = address;
    fronts_.back()->services = ServicesFor(address.terms);
  }
  for (const auto& front : before) {
    if (front != nullptr) front->listener->Close(front->address.queue);
  }
  pool_.UseTls(std::move(tls.backend));
  pool_.UseSettings(SettingsOf(generation_), generation_->backends);
}

void Worker::Start() {
  pool_.Start();
  for (const auto& front : fronts_) accept_tasks_.Spawn(AcceptFrom(front));
}

Task<void> Worker::AcceptFrom(std::shared_ptr<Front> front) {
  while (true) {
    auto accepted = co_await front->listener->Accept();
    if (absl::IsCancelled(accepted.status())) co_return;
    if (!accepted.ok()) {
      NoteOutOfDescriptors(accepted.status());
      co_await io::SleepOp(loop_, loop_.Now() + kAcceptPause);
      continue;
    }
    NoteAccepted();
    LetIn(*std::move(accepted), *front);
  }
}

// Said once, and once more when it is over.
void Worker::NoteOutOfDescriptors(const absl::Status& why) {
  ++counters_.accept_pauses;
  last_failed_accept_ = loop_.Now();
  if (descriptors_ended_ != io::kNever) return;
  descriptors_ended_ = loop_.Now();
  shared_.log.Warning(absl::StrFormat(
      "%s; clients wait until descriptors are free (raise LimitNOFILE or "
      "lower max_connections)",
      MessageOf(why)));
}

void Worker::NoteAccepted() {
  if (descriptors_ended_ == io::kNever) return;
  const io::Time now = loop_.Now();
  if (now - last_failed_accept_ < kAcceptCalm) return;
  shared_.log.Info(absl::StrFormat(
      "descriptors are free again after %.1f seconds",
      std::chrono::duration<double>(now - descriptors_ended_).count()));
  descriptors_ended_ = io::kNever;
}

void Worker::LetIn(std::unique_ptr<io::Stream> stream, Front& front) {
  const bool has_room = !draining_ && shared_.connections.Enter();
  NoteLoad();
  if (has_room) return Receive(std::move(stream), front);
  ++counters_.sessions_refused;
  if (!draining_) ++counters_.limits_hit[Limit::kMaxConnections];
  const smtp::Reply& why =
      draining_ ? smtp::reply::kShuttingDown : smtp::reply::kTooManyConnections;
  Refuse(std::move(stream),
         smtp::WithHost(why, front.services->settings.hostname),
         front.address.implicit_tls);
}

void Worker::Receive(std::unique_ptr<io::Stream> stream, Front& front) {
  // Of an address that a reload has removed they are not the newest.
  const SessionServices& services = *front.services;
  auto arrival = std::make_unique<Arrival>(
      front.services, *services.generation->terms[front.address.terms],
      std::move(stream), front.address.implicit_tls);
  // Behind a load balancer the header says who is to be counted.
  if (!arrival->expects_header() && !Admit(*arrival)) return;
  if (!arrival->needed()) return Welcome(std::move(arrival));
  arrivals_.PushBack(*arrival);
  session_tasks_.Spawn(Await(std::move(arrival)));
}

Task<void> Worker::Await(std::unique_ptr<Arrival> arrival) {
  const Arrival::Outcome outcome = co_await arrival->Run();
  if (outcome == Arrival::Outcome::kServe) {
    const bool admitted = !arrival->expects_header() ||
                          arrival->is_health_check() || Admit(*arrival);
    if (admitted) Welcome(std::move(arrival));
    co_return;
  }
  Leave();
  if (outcome == Arrival::Outcome::kGone) co_return;
  Refuse(arrival->TakeStream(),
         std::string(smtp::reply::kSynchronization.text()),
         arrival->implicit_tls());
}

// False: the client has too many connections already, and is told so.
bool Worker::Admit(Arrival& arrival) {
  ClientLimits::Arrival client =
      shared_.clients.Connect(arrival.stream().peer(), loop_.Now());
  if (client.verdict == ClientLimits::Verdict::kWelcome) {
    arrival.set_visit(std::move(client.visit));
    return true;
  }
  ++counters_.limits_hit[LimitOf(client)];
  ++counters_.clients_refused;
  ++counters_.sessions_refused;
  std::string words = TurnAwayWords(client, arrival.stream(),
                                    arrival.services().settings, shared_.log);
  Leave();
  Refuse(arrival.TakeStream(), std::move(words), arrival.implicit_tls());
  return false;
}

void Worker::Welcome(std::unique_ptr<Arrival> arrival) {
  ++(arrival->is_health_check() ? counters_.health_checks : counters_.sessions);
  session_tasks_.Spawn(Serve(std::move(arrival)));
}

// What it needs comes with the arrival: an idle client costs this frame.
Task<void> Worker::Serve(std::unique_ptr<Arrival> arrival) {
  // Its settings live as long as it does.
  const std::shared_ptr<SessionServices> services = arrival->TakeServices();
  Session session(*services, arrival->TakeStream(), arrival->implicit_tls(),
                  arrival->TakeVisit());
  arrival.reset();
  sessions_.PushBack(session);
  if (draining_) {
    session.Drain(Session::Leaving::kNow);
  } else if (behind_first_mail_) {
    session.Drain(Session::Leaving::kBehindMail);
  }
  co_await session.Run();
  Leave();
}

void Worker::Leave() {
  shared_.connections.Leave();
  NoteLoad();
}

// Words in plaintext mean nothing where TLS comes first, and a handshake is too
// dear for a client that is turned away.
void Worker::Refuse(std::unique_ptr<io::Stream> stream, std::string words,
                    bool implicit_tls) {
  records_.refusals.Note(loop_.WallNow(), stream->peer().Address(), {}, {},
                         words);
  if (implicit_tls) return;
  if (turned_away_.size() >= kMaxTurnedAway) return;
  turned_away_.Spawn(TurnAway(std::move(stream), std::move(words)));
}

Task<void> Worker::TurnAway(std::unique_ptr<io::Stream> stream,
                            std::string words) {
  ClientChannel client(std::move(stream), smtp::kDefaultLineLengthLimit,
                       kTurnAwayTerms);
  client.Say(words);
  const absl::Status sent = co_await client.Flush();
  if (!sent.ok()) co_return;
  const io::Time deadline = loop_.Now() + kTurnAwayTimeout;
  co_await client.stream().Linger(deadline);
}

// Tells overload mode how many clients there are, and the sessions when it has
// begun.
void Worker::NoteLoad() {
  const int connections = shared_.connections.count();
  const Settings& settings = generation_->settings;
  switch (shared_.overload.Note(connections)) {
    case Overload::Change::kNone:
      break;
    case Overload::Change::kBegins:
      ++counters_.stress_periods;
      ++counters_.limits_hit[Limit::kStressPercent];
      shared_.log.Warning(absl::StrFormat(
          "overload mode begins: %d of %d connections are in use, clients have "
          "less time and fewer errors (raise max_connections if they are "
          "wanted)",
          connections, settings.max_connections));
      break;
    case Overload::Change::kEnds:
      shared_.log.Info(
          absl::StrFormat("overload mode ends: %d of %d connections are in use",
                          connections, settings.max_connections));
      break;
  }
  const bool begins = shared_.overload.overloaded() && !overloaded_;
  overloaded_ = shared_.overload.overloaded();
  if (!begins) return;
  sessions_.ForEach([](Session& session) { session.Hurry(); });
}

void Worker::Drain(Parting parting) {
  if (leaving_) {
    // More haste than was announced.
    if (parting == Parting::kAtOnce && !draining_) SendAway();
    return;
  }
  leaving_ = true;
  draining_ = parting == Parting::kAtOnce;
  for (const auto& front : fronts_) {
    const bool is_shared = parting != Parting::kAtOnce;
    front->listener->Close(is_shared ? io::Listener::Queue::kLeave
                                     : front->address.queue);
  }
  drain_task_.Spawn(DrainAndStop(parting));
}

// Until nobody is left, or those who are left have to go.
Task<void> Worker::LetFinish(Parting parting, io::Time drain_end) {
  io::Time end = loop_.Now() + generation_->settings.drain_timeout / 2;
  if (parting == Parting::kBehindFirstMail) {
    behind_first_mail_ = true;
    end = std::min(end, loop_.Now() + kFirstMailTime);
    sessions_.ForEach(
        [](Session& session) { session.Drain(Session::Leaving::kBehindMail); });
  }
  end = std::min(end, drain_end);
  const bool accepting_ended = co_await accept_tasks_.Drained(end);
  const bool all_left = co_await session_tasks_.Drained(end);
  static_cast<void>(accepting_ended && all_left);  // who is left has to go now
}

// Everybody is to leave as soon as possible.
void Worker::SendAway() {
  draining_ = true;
  delays_.WakeAll(absl::AbortedError("draining"));
  names_.Interrupt();
  // Who has not been greeted needs no farewell.
  arrivals_.ForEach([](Arrival& arrival) { arrival.Abort(); });
  sessions_.ForEach(
      [](Session& session) { session.Drain(Session::Leaving::kNow); });
}

Task<void> Worker::DrainAndStop(Parting parting) {
  const io::Time drain_end = loop_.Now() + generation_->settings.drain_timeout;
  if (parting != Parting::kAtOnce) co_await LetFinish(parting, drain_end);
  SendAway();
  const bool drained = co_await session_tasks_.Drained(drain_end);
  if (!drained) {
    counters_.limits_hit[Limit::kDrainTimeout] +=
        static_cast<int64_t>(session_tasks_.size());
    shared_.log.Warning(absl::StrFormat(
        "drain_timeout: %d sessions are cut off", session_tasks_.size()));
    sessions_.ForEach([](Session& session) { session.Abort(); });
    // Some of them wait for the backend and not for their client.
    pool_.CutOff();
  }
  const io::Time unwind_end = loop_.Now() + kUnwindTimeout;
  const bool accepting_ended = co_await accept_tasks_.Drained(unwind_end);
  const bool unwound = co_await session_tasks_.Drained(unwind_end);
  const bool turned_away = co_await turned_away_.Drained(unwind_end);
  const bool pool_closed = co_await pool_.Shutdown(unwind_end);
  clean_ = accepting_ended && unwound && turned_away && pool_closed;
  loop_.Stop();
}

}  // namespace tlspost
