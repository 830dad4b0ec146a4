// World: clients, one or two workers of the proxy and mail servers on one
// simulated loop, and the ledger that is balanced at the end.
//
// A test describes the world, adds clients, and expects Run() to find nothing.
// The proxy in it is the real Worker with all that is below it.

#ifndef TLSPOST_TESTS_SIM_WORLD_H_
#define TLSPOST_TESTS_SIM_WORLD_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/io/task_group.h"
#include "proxy/counters.h"
#include "proxy/demo/sink_mta.h"
#include "proxy/log.h"
#include "proxy/settings.h"
#include "proxy/worker.h"
#include "tests/sim/ledger.h"
#include "tests/sim/sim_client.h"
#include "tests/sim/sim_loop.h"
#include "tests/sim/sim_resolver.h"

namespace tlspost::sim {

struct WorldOptions {
  WorldOptions();

  uint64_t seed = 1;
  Settings settings;  // no warm spares, unless a test wants some
  int workers = 1;
  int sinks = 1;                         // how many backends there are
  bool is_its_own_backend = false;       // the sinks are not used then
  std::map<std::string, SimName> names;  // DNS, by address; empty: no DNS
  size_t terms = 0;  // those of settings.listeners[terms - 1], or the common
  bool tls = true;
  bool implicit_tls = false;  // clients begin with TLS
  bool backend_tls = false;   // the sinks offer STARTTLS, and it is required
  bool sink_hides_starttls = false;  // the sinks do not offer it after all
  SinkMta::Options sink;
  SinkMta::Mischief mischief;
  // By the number of the connect, from 0: over all clients, and over all
  // connections to a sink.
  std::function<ConnectionFaults(int)> client_faults;
  std::function<ConnectionFaults(int)> backend_faults;
  // The backend says things unasked: it may call a mail refused and take it.
  bool backend_may_lie = false;
  // A client may wait in vain: its connection stalls.
  bool clients_may_hang = false;
  // Reloads change backend_identity: what the backends are told of a client
  // must be true, and need not be all.
  bool identity_changes = false;
  bool traced = false;  // all clients are
};

class World {
 public:
  explicit World(WorldOptions options);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  SimClient& AddClient(ClientPlan plan);
  // Does something once the loop has made so many steps.
  void AtStep(int64_t step, std::function<void()> action);
  // The same after so much virtual time.
  void AtTime(io::Duration after, std::function<void()> action);

  // Kills all connections of all sinks and refuses new ones for a while.
  void RestartBackend(io::Duration down);
  // As SIGTERM does, for all workers; or as a takeover does.
  void Drain(Parting parting = Parting::kAtOnce);
  // As a reload does, for all workers. `sinks`: who is a backend from then on,
  // by number; empty: all of them. Without `listens` no address is left.
  void Reload(const Settings& settings, const std::vector<int>& sinks = {},
              bool listens = true);

  // Plays to the end. What is wrong, one line each, with the command that
  // replays this world; empty when nothing is.
  std::string Run();

  SimLoop& loop() { return *loop_; }
  const SimClient& client(size_t index) const { return *clients_[index]; }
  const Ledger& ledger() const { return ledger_; }
  const std::string& log() const { return log_.text; }
  bool LogHas(std::string_view words) const {
    return log_.text.find(words) != std::string::npos;
  }
  // Of all workers, as they were at the end.
  const Counters& counters() const { return counters_; }
  const std::vector<Sender>& senders() const { return senders_; }
  const std::vector<Refusal>& refusals() const { return refusals_; }
  // What an administrator hears who traces all clients.
  const std::vector<std::string>& trace() const { return trace_; }
  int backend_connections() const { return backend_connections_; }
  int most_blocks_out() const { return most_blocks_out_; }
  int most_slots_used() const { return most_slots_used_; }
  // While it is played.
  int slots_used() const { return shared_->slots.used(); }
  int64_t steps() const { return steps_; }
  // Commands and replies of the backends, one line each.
  const std::string& backend_dialogue() const { return backend_dialogue_; }

 private:
  struct MemoryLog final : Log {
    std::string text;

   protected:
    void Write(std::string_view level, std::string_view line) override {
      text.append(level).append(line).append("\n");
    }
  };
  struct Action {
    int64_t step;
    io::Time time;
    std::function<void()> act;
  };

  void Build();
  void PlanFaults();
  std::optional<SinkMta::Misdeed> Misbehave(int sink,
                                            const SinkMta::Event& event);
  bool RunUntil(const std::function<bool()>& done, io::Duration limit);
  void DoWhatIsDue();
  bool Idle() const;
  // False when the world cannot be taken down: something in it still runs.
  bool PlayAndStop();
  WorkerTls Tls() const;
  std::vector<BackendAddress> Addresses(const std::vector<int>& sinks) const;
  void TakeDown();
  void CheckCounters();
  void Find(std::string_view finding);
  std::string Told() const;

  WorldOptions options_;
  const int64_t frames_before_;
  std::vector<io::Endpoint> fronts_;
  std::vector<io::Endpoint> backends_;
  MemoryLog log_;
  Ledger ledger_;
  Ledger::Clients clients_;
  std::set<std::pair<int, int>> answered_early_;  // sink and connection
  std::vector<Action> actions_;
  Counters counters_;
  std::vector<Sender> senders_;
  std::vector<Refusal> refusals_;
  uint64_t tracer_ = 0;  // if all are traced
  std::vector<std::string> trace_;
  std::string findings_;
  std::string backend_dialogue_;
  int backend_connections_ = 0;
  int most_blocks_out_ = 0;
  int most_slots_used_ = 0;
  int64_t steps_ = 0;
  bool draining_ = false;

  // Taken down at the end of Run, in the opposite order.
  std::unique_ptr<SimLoop> loop_;
  std::unique_ptr<SimResolver> resolver_;
  std::unique_ptr<WorkerShared> shared_;
  std::shared_ptr<const Generation> generation_;
  std::vector<std::unique_ptr<SinkMta>> sinks_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::unique_ptr<io::TaskGroup> client_tasks_;
};

// --- what most tests send ---------------------------------------------------

// Mail number `number` of client `client`, its words found nowhere else: text
// with stuffed dots, an empty line, dots and line ends in awkward places.
Mail MakeMail(int client, int number, int recipients = 1);
// A client with so many mails, with a name and an address of its own.
ClientPlan MakeClient(int number, int mails = 1);

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_WORLD_H_
