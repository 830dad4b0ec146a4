// SimLoop: a Loop in which the world is one thread, one seed and a clock that
// jumps.
//
// What becomes ready runs in an order drawn from the seed. When nothing is
// ready, time moves to the next deadline, so that 300 seconds cost nothing.
// Connections are pipes in memory that cut, delay, stall and reset as told.
// It never touches the kernel; the same seed gives the same run.

#ifndef TLSPOST_TESTS_SIM_SIM_LOOP_H_
#define TLSPOST_TESTS_SIM_SIM_LOOP_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/io/listener.h"
#include "common/io/loop.h"
#include "common/io/stream.h"

namespace tlspost::sim {

class SimListener;
class SimStream;
struct Connection;

// What can go wrong with the bytes of one direction of one connection.
struct PipeFaults {
  size_t capacity = 65536;              // what waits on its way at most
  size_t max_read = 0;                  // octets a read sees at most; 0: all
  std::optional<uint64_t> cut_at;       // a read ends at this octet
  std::optional<uint64_t> reset_after;  // RST once this many were delivered
  std::optional<uint64_t> end_after;    // FIN then; what follows is lost
  std::optional<uint64_t> stall_after;  // nothing is delivered behind this
  bool random_cuts = false;             // reads of a random size
  bool random_delays = false;           // sometimes up to 50 ms late
  uint64_t* delivered = nullptr;        // if given: how far it came
};

// For a connection as the connecting side sees it.
struct ConnectionFaults {
  PipeFaults to_server;
  PipeFaults to_client;
};

class SimLoop final : public io::Loop {
 public:
  explicit SimLoop(uint64_t seed);
  ~SimLoop() override;

  // Runs until Stop or until nothing is ready and no deadline is armed.
  void Run() override;
  // Runs until `done` says so; false when `limit` of virtual time passes or
  // nothing can happen any more before it does.
  bool RunUntil(const std::function<bool()>& done, io::Duration limit);

  io::WallTime WallNow() const override;
  uint64_t Random() override;
  void PostRemote(std::function<void()> work) override;
  absl::StatusOr<std::unique_ptr<io::Listener>> Listen(
      const io::Endpoint& endpoint, const io::ListenOptions& options) override;
  void StartConnect(io::ConnectOp& op) override;
  void CancelConnect(io::ConnectOp& op) override;

  // Asked at each connect for the faults of the new connection; `number`
  // counts the connects to that endpoint from 0.
  using FaultPlan =
      std::function<ConnectionFaults(const io::Endpoint& server, int number)>;
  void set_fault_plan(FaultPlan plan) { fault_plan_ = std::move(plan); }
  // Connects to `server` are refused (as when nobody listens) while set.
  void set_refused(const io::Endpoint& server, bool refused);
  // While set, the listener at `server` has no descriptors for newcomers.
  void set_out_of_descriptors(const io::Endpoint& server, bool out);
  // All connections to `server` are reset, as when it is killed.
  void ResetConnectionsTo(const io::Endpoint& server);
  // `server` says `bytes` on all its connections, as if it had written them.
  void SayUnasked(const io::Endpoint& server, std::string_view bytes);
  // Somebody sets the clock on the wall.
  void JumpWallClock(io::Duration by) { wall_jump_ += by; }
  // How long (virtual) each piece of deferred work takes. One runs whenever
  // nothing else is ready.
  void set_deferred_cost(io::Duration cost) { deferred_cost_ = cost; }
  // The address from which the next connects come.
  void set_client_address(io::Endpoint address) { from_ = std::move(address); }

  int64_t steps() const { return steps_; }
  int open_streams() const { return open_streams_; }

 private:
  friend class SimListener;
  friend class SimStream;
  class Connecting;
  class RemoteWork;

  // One step: one ready thing, or a jump in time. False when neither is left.
  bool Step(io::Time limit);

  uint64_t random_state_;
  io::Duration wall_jump_{};
  io::Duration deferred_cost_{};
  int64_t steps_ = 0;
  int open_streams_ = 0;
  FaultPlan fault_plan_;
  io::Endpoint from_;
  std::map<std::string, SimListener*> listeners_;
  std::map<std::string, int> connects_;
  std::map<std::string, bool> refused_;
  std::map<std::string, std::vector<std::weak_ptr<Connection>>> made_;
};

}  // namespace tlspost::sim

#endif  // TLSPOST_TESTS_SIM_SIM_LOOP_H_
