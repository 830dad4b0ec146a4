// Builds, plays, balances and takes down a world.

#include "tests/sim/world.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "common/base/frame_slab.h"
#include "common/base/status.h"
#include "tests/sim/replay.h"
#include "tests/sim/sim_tls.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;

// How long a world may take (virtual), and each part of its end.
constexpr io::Duration kLongestPlay = 24h;
constexpr io::Duration kLongestEnd = 30min;

io::Endpoint EndpointOf(const std::string& address, int port) {
  return *io::Endpoint::FromIp(address, static_cast<uint16_t>(port));
}

}  // namespace

WorldOptions::WorldOptions() {
  settings.hostname = "mx.example";
  settings.backend_warm_spares = 0;
}

World::World(WorldOptions options)
    : options_(std::move(options)),
      frames_before_(ThisThreadFrameUse().frames) {
  Build();
}

World::~World() {
  // A world that was not played, or could not be taken down, is left alone:
  // destroying what still runs would hide the finding behind an assertion.
  static_cast<void>(client_tasks_.release());
  for (auto& worker : workers_) static_cast<void>(worker.release());
  for (auto& sink : sinks_) static_cast<void>(sink.release());
  for (auto& client : clients_) {
    if (!client->ended()) static_cast<void>(client.release());
  }
  static_cast<void>(shared_.release());
  static_cast<void>(resolver_.release());
  static_cast<void>(loop_.release());
}

void World::Build() {
  loop_ = std::make_unique<SimLoop>(options_.seed);
  if (options_.backend_tls) {
    if (!options_.sink_hides_starttls) options_.sink.tls = ServerTls();
    options_.settings.backend_tls_security_level = BackendTlsLevel::kEncrypt;
  }
  for (int i = 0; i < options_.sinks; ++i) {
    backends_.push_back(EndpointOf(absl::StrFormat("10.0.0.%d", i + 1), 10025));
    auto sink = std::make_unique<SinkMta>(*loop_, options_.sink);
    sink->set_on_message([this](const SinkMta::Message& message) {
      ledger_.NoteAccepted(message);
    });
    sink->set_mischief([this, i](const SinkMta::Event& event) {
      backend_dialogue_ += absl::StrFormat("%d-%d %s\n", i, event.connection,
                                           std::string(event.line));
      return Misbehave(i, event);
    });
    TLSPOST_CHECK(sink->Listen(backends_.back()).ok());
    sinks_.push_back(std::move(sink));
  }
  PlanFaults();
  std::vector<BackendAddress> addresses = Addresses({});
  if (options_.is_its_own_backend) {
    const io::Endpoint front = EndpointOf("203.0.113.1", 25);
    addresses = {{front.ToString(), front}};
  }
  shared_ = std::make_unique<WorkerShared>(options_.settings, addresses,
                                           options_.workers, log_);
  shared_->notes.own_mark = "0123ABCD";
  generation_ = shared_->generation;
  if (options_.traced) {
    tracer_ = shared_->trace
                  .Open(*io::ParseNetworks({"0.0.0.0/0", "::/0"}), loop_->Now())
                  .value();
  }
  if (!options_.names.empty()) {
    resolver_ = std::make_unique<SimResolver>(*loop_, options_.names);
    shared_->resolver = resolver_.get();
  }
  for (int i = 0; i < options_.workers; ++i) {
    fronts_.push_back(EndpointOf("203.0.113.1", 25 + i));
    workers_.push_back(std::make_unique<Worker>(*loop_, *shared_, Tls(),
                                                absl::StrFormat("W%d", i)));
    TLSPOST_CHECK(
        workers_.back()
            ->Listen({{fronts_.back(), options_.implicit_tls, options_.terms}})
            .ok());
    workers_.back()->Start();
  }
  client_tasks_ = std::make_unique<io::TaskGroup>(*loop_);
}

WorkerTls World::Tls() const {
  return WorkerTls{options_.tls ? ServerTls() : nullptr,
                   options_.backend_tls ? ClientContext() : nullptr};
}

std::vector<BackendAddress> World::Addresses(
    const std::vector<int>& sinks) const {
  std::vector<BackendAddress> addresses;
  for (size_t i = 0; i < backends_.size(); ++i) {
    const bool is_one = sinks.empty() ||
                        std::find(sinks.begin(), sinks.end(), i) != sinks.end();
    if (is_one) addresses.push_back({backends_[i].ToString(), backends_[i]});
  }
  return addresses;
}

std::optional<SinkMta::Misdeed> World::Misbehave(int sink,
                                                 const SinkMta::Event& event) {
  // A server that has answered in mid-message has said its last word on it.
  const std::pair<int, int> connection(sink, event.connection);
  if (event.verb == "." && answered_early_.erase(connection) > 0) {
    return SinkMta::Misdeed();
  }
  if (!options_.mischief) return std::nullopt;
  auto misdeed = options_.mischief(event);
  if (event.verb == "LINE" && misdeed.has_value() && !misdeed->normal &&
      !misdeed->reply.empty()) {
    answered_early_.insert(connection);
  }
  return misdeed;
}

void World::PlanFaults() {
  auto client_number = std::make_shared<int>(0);
  auto backend_number = std::make_shared<int>(0);
  loop_->set_fault_plan(
      [this, client_number, backend_number](const io::Endpoint& server, int) {
        const bool backend = server.port() == 10025;
        const int number = (*(backend ? backend_number : client_number))++;
        const auto& faults =
            backend ? options_.backend_faults : options_.client_faults;
        return faults ? faults(number) : ConnectionFaults();
      });
}

SimClient& World::AddClient(ClientPlan plan) {
  const int number = static_cast<int>(clients_.size());
  if (plan.address.empty()) {
    plan.address = absl::StrFormat("192.0.2.%d", 10 + number);
  }
  if (plan.helo.empty()) plan.helo = absl::StrFormat("c%d.example", number);
  const io::Endpoint from = EndpointOf(plan.address, 40000 + number);
  const io::Endpoint server = fronts_[static_cast<size_t>(plan.worker)];
  clients_.push_back(
      std::make_unique<SimClient>(*loop_, std::move(plan), from, server));
  client_tasks_->Spawn(clients_.back()->Run());
  return *clients_.back();
}

// --- what happens meanwhile -------------------------------------------------

void World::AtStep(int64_t step, std::function<void()> action) {
  actions_.push_back({step, io::kNever, std::move(action)});
}

void World::AtTime(io::Duration after, std::function<void()> action) {
  actions_.push_back({-1, loop_->Now() + after, std::move(action)});
}

void World::DoWhatIsDue() {
  most_blocks_out_ =
      std::max<int>(most_blocks_out_, loop_->blocks().blocks_out());
  most_slots_used_ = std::max(most_slots_used_, shared_->slots.used());
  for (size_t i = 0; i < actions_.size();) {
    const Action& action = actions_[i];
    const bool due = (action.step >= 0 && loop_->steps() >= action.step) ||
                     loop_->Now() >= action.time;
    if (!due) {
      ++i;
      continue;
    }
    const std::function<void()> act = action.act;
    actions_.erase(actions_.begin() + static_cast<ptrdiff_t>(i));
    act();
  }
}

void World::RestartBackend(io::Duration down) {
  for (const io::Endpoint& backend : backends_) {
    loop_->set_refused(backend, true);
    loop_->ResetConnectionsTo(backend);
  }
  AtTime(down, [this] {
    for (const io::Endpoint& backend : backends_) {
      loop_->set_refused(backend, false);
    }
  });
}

void World::Drain(Parting parting) {
  draining_ = true;
  for (const auto& worker : workers_) worker->Drain(parting);
}

void World::Reload(const Settings& settings, const std::vector<int>& sinks,
                   bool listens) {
  generation_ = std::make_shared<const Generation>(
      settings, KeepNotes(Addresses(sinks), generation_->backends));
  shared_->UseLimits(settings);
  for (size_t i = 0; i < workers_.size(); ++i) {
    std::vector<ListenAddress> addresses;
    if (listens) {
      addresses.push_back({fronts_[i], options_.implicit_tls, options_.terms});
    }
    workers_[i]->UseGeneration(generation_, Tls(), std::move(addresses));
  }
}

// --- to the end -------------------------------------------------------------

bool World::RunUntil(const std::function<bool()>& done, io::Duration limit) {
  return loop_->RunUntil(
      [&] {
        DoWhatIsDue();
        return done();
      },
      limit);
}

std::string World::Run() {
  const bool stopped = PlayAndStop();
  steps_ = loop_->steps();
  if (stopped) TakeDown();
  for (const std::string& line :
       ledger_.Check(clients_, Told(), options_.backend_may_lie)) {
    Find(line);
  }
  for (const std::string& secret : FindSecrets(log_.text, clients_)) {
    Find("the log tells a secret: " + secret);
  }
  if (!options_.clients_may_hang) {
    for (const auto& client : clients_) {
      if (client->timed_out()) Find(client->plan().helo + " waits in vain");
    }
  }
  if (most_slots_used_ > options_.settings.backend_max_connections) {
    Find("more backend connections than backend_max_connections");
  }
  if (Replaying() || !findings_.empty()) {
    std::fprintf(stderr, "--- log ---\n%s--- backend ---\n%s",
                 log_.text.c_str(), backend_dialogue_.c_str());
    for (const auto& client : clients_) {
      std::fprintf(stderr, "--- %s heard ---\n", client->plan().helo.c_str());
      for (const std::string& reply : client->replies()) {
        std::fprintf(stderr, "%s", reply.c_str());
      }
    }
  }
  if (!findings_.empty()) findings_ += ReplayCommand();
  return findings_;
}

bool World::Idle() const {
  return std::all_of(workers_.begin(), workers_.end(), [](const auto& worker) {
    return worker->session_count() == 0 &&
           worker->pool().open_connections() ==
               worker->pool().idle_connections() &&
           worker->pool().waiting() == 0;
  });
}

bool World::PlayAndStop() {
  const bool played =
      RunUntil([this] { return client_tasks_->size() == 0; }, kLongestPlay);
  if (!played) Find("a client did not come to its end");
  if (!draining_ && !RunUntil([this] { return Idle(); }, kLongestEnd)) {
    Find("a session or a lease did not come to its end");
  }
  if (!draining_) Drain();
  const bool drained = RunUntil(
      [this] {
        return std::all_of(workers_.begin(), workers_.end(),
                           [](const auto& worker) { return worker->clean(); });
      },
      kLongestEnd);
  if (!drained) Find("a worker did not drain");
  for (const auto& sink : sinks_) {
    backend_connections_ += sink->connections();
    sink->Stop();
  }
  const auto stopped = [this] {
    return client_tasks_->size() == 0 &&
           (resolver_ == nullptr || resolver_->idle()) &&
           std::all_of(sinks_.begin(), sinks_.end(),
                       [](const auto& sink) { return sink->stopped(); });
  };
  const bool at_rest = RunUntil(stopped, kLongestEnd);
  if (!at_rest) Find("a sink or a client did not come to rest");
  // What is posted still runs: the groups free their tasks in a last turn.
  loop_->RunUntil([] { return false; }, 1s);
  for (const auto& worker : workers_) {
    if (worker->session_count() > 0) {
      Find("a worker drained with sessions left");
      return false;
    }
  }
  return played && drained && at_rest;
}

// Rule 8: what is counted by labels adds up to what is counted without.
void World::CheckCounters() {
  const Counters& all = counters_;
  const auto times = [&](Phase phase) {
    return all.phases[static_cast<size_t>(phase)].count();
  };
  const std::pair<std::string_view, bool> rules[] = {
      {"versions", all.handshake_versions.Sum() == all.handshakes},
      {"ciphers", all.handshake_ciphers.Sum() == all.handshakes},
      {"groups", all.handshake_groups.Sum() == all.handshakes},
      {"handshake times", times(Phase::kHandshake) == all.handshakes},
      {"failures", all.handshake_failures.Sum() == all.handshakes_failed},
      {"messages by TLS", all.messages_by_tls.Sum() == all.messages},
      {"message times", times(Phase::kMessage) == all.messages},
      {"transactions", all.transactions >= all.messages + all.messages_failed},
      {"waits", times(Phase::kBackendWait) == all.leases},
      {"reuse", all.leases_reused <= all.leases},
      {"connects", times(Phase::kBackendConnect) == all.backend_connects},
      {"rates", all.rate_refusals <= all.limits_hit.Sum()},
      {"replies", all.client_replies.Sum() >= all.messages},
  };
  for (const auto& [rule, holds] : rules) {
    if (!holds) Find(absl::StrFormat("the counters do not add up: %s", rule));
  }
}

// Rule 4: everything is given back.
void World::TakeDown() {
  for (const auto& worker : workers_) {
    counters_ += worker->counters();
    const std::vector<Sender> senders = worker->records().senders.All();
    senders_.insert(senders_.end(), senders.begin(), senders.end());
    const std::vector<Refusal> refusals = worker->records().refusals.All();
    refusals_.insert(refusals_.end(), refusals.begin(), refusals.end());
  }
  if (options_.traced) {
    trace_ = shared_->trace.Take(tracer_, loop_->Now()).value().lines;
  }
  CheckCounters();
  workers_.clear();
  sinks_.clear();
  client_tasks_.reset();
  if (shared_->slots.used() != 0) Find("slots of the budget leaked");
  if (shared_->connections.count() != 0) Find("max_connections counts ghosts");
  if (shared_->handshakes.count() != 0)
    Find("tls_handshake_limit counts ghosts");
  if (shared_->clients.connections() != 0) Find("a client's visit leaked");
  shared_.reset();
  resolver_.reset();
  if (loop_->open_streams() != 0) Find("streams leaked");
  if (loop_->blocks().blocks_out() != 0) Find("blocks leaked");
  if (ThisThreadFrameUse().frames != frames_before_) Find("frames leaked");
  loop_.reset();
}

void World::Find(std::string_view finding) {
  findings_.append(finding).append("\n");
}

// What the backends must have been told of each client.
std::string World::Told() const {
  if (options_.identity_changes) return "";
  switch (options_.settings.backend_identity) {
    case BackendIdentity::kNone:
      return "";
    case BackendIdentity::kXforward:
      return "NAME ADDR PROTO HELO SOURCE PORT IDENT";
    case BackendIdentity::kProxy:
      return "ADDR PORT DESTADDR DESTPORT TLS EHLO";
    case BackendIdentity::kAuto:
    case BackendIdentity::kXclient:
      break;
  }
  const bool is_none = options_.sink.xclient == SinkMta::Xclient::kNone;
  return is_none ? "" : options_.sink.xclient_attributes + " EHLO";
}

// --- what most tests send ---------------------------------------------------

Mail MakeMail(int client, int number, int recipients) {
  Mail mail;
  mail.sender = absl::StrFormat("m%d@c%d.example", number, client);
  for (int i = 0; i < recipients; ++i) {
    mail.recipients.push_back(
        absl::StrFormat("r%d.%d@c%d.example", number, i, client));
  }
  mail.body = absl::StrFormat(
      "Subject: %d of %d\r\n\r\n..dot\r\n\r\nx.\r\n...\r\n. \r\nend %d.%d\r\n",
      number, client, client, number);
  return mail;
}

ClientPlan MakeClient(int number, int mails) {
  ClientPlan plan;
  for (int i = 0; i < mails; ++i) plan.mails.push_back(MakeMail(number, i));
  return plan;
}

}  // namespace tlspost::sim
