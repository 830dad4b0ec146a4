// The seeded scheduler and the simulated network's dial and listen.

#include "tests/sim/sim_loop.h"

#include <chrono>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "common/base/check.h"
#include "tests/sim/sim_stream.h"

namespace tlspost::sim {
namespace {

// The simulation starts at some hour, not at zero: a zero may hide a bug.
constexpr io::Time kStart = io::Time(std::chrono::hours(1000));
// A world that takes more steps than this is going round in circles.
constexpr int64_t kMaxSteps = 20'000'000;

}  // namespace

// A connect on its way; completes from the ready list.
class SimLoop::Connecting final : public io::Runnable {
 public:
  Connecting(SimLoop& loop, io::ConnectOp& op)
      : loop_(loop), op_(op), from_(loop.from_) {
    loop.Post(*this);
  }

  void Cancel() {
    op_.Complete(absl::CancelledError("cancelled"));
    delete this;
  }

 private:
  void Run() override {
    const std::string server = op_.endpoint().ToString();
    const auto listener = loop_.listeners_.find(server);
    if (listener == loop_.listeners_.end() || loop_.refused_[server]) {
      op_.Complete(absl::UnavailableError(
          absl::StrFormat("connect to %s: Connection refused", server)));
      delete this;
      return;
    }
    ConnectionFaults faults;
    const int number = loop_.connects_[server]++;
    if (loop_.fault_plan_) {
      faults = loop_.fault_plan_(op_.endpoint(), number);
    }
    auto connection = std::make_shared<Connection>(loop_, faults);
    auto client = std::make_unique<SimStream>(
        loop_, connection, /*server=*/false, op_.endpoint(), from_);
    auto accepted = std::make_unique<SimStream>(
        loop_, connection, /*server=*/true, from_, op_.endpoint());
    loop_.made_[server].push_back(connection);
    listener->second->HandOver(std::move(accepted));
    op_.Complete(std::move(client));
    delete this;
  }

  SimLoop& loop_;
  io::ConnectOp& op_;
  const io::Endpoint from_;
};

class SimLoop::RemoteWork final : public io::Runnable {
 public:
  explicit RemoteWork(std::function<void()> work) : work_(std::move(work)) {}

 private:
  void Run() override {
    work_();
    delete this;
  }
  std::function<void()> work_;
};

SimLoop::SimLoop(uint64_t seed)
    : Loop(kStart),
      random_state_(seed),
      from_(*io::Endpoint::FromIp("192.0.2.1", 40000)) {}

SimLoop::~SimLoop() { TLSPOST_CHECK(open_streams_ == 0); }

void SimLoop::Run() {
  while (!stopped() && Step(io::kNever)) {
  }
}

bool SimLoop::RunUntil(const std::function<bool()>& done, io::Duration limit) {
  const io::Time end = Now() + limit;
  while (!done()) {
    if (!Step(end)) return done();
  }
  return true;
}

bool SimLoop::Step(io::Time limit) {
  TLSPOST_CHECK(++steps_ < kMaxSteps);
  if (ready().empty() && has_deferred()) {
    // As if it had taken that long: what happens meanwhile is late.
    RunOneDeferred();
    SetNow(Now() + deferred_cost_);
    wheel().Advance(Now());
    return true;
  }
  if (ready().empty()) {
    const io::Time next = wheel().NextTick();
    if (next == io::kNever || next > limit) return false;
    SetNow(next);
    wheel().Advance(next);
    return true;
  }
  size_t count = 0;
  ready().ForEach([&](io::Runnable&) { ++count; });
  size_t chosen = Random() % count;
  io::Runnable* runnable = nullptr;
  ready().ForEach([&](io::Runnable& candidate) {
    if (chosen-- == 0) runnable = &candidate;
  });
  runnable->ListNode<io::Runnable>::Unlink();
  runnable->Run();
  return true;
}

io::WallTime SimLoop::WallNow() const {
  // Some day, moved on with the virtual clock.
  return io::WallTime(std::chrono::seconds(1'790'000'000)) +
         std::chrono::duration_cast<io::WallTime::duration>(Now() - kStart +
                                                            wall_jump_);
}

uint64_t SimLoop::Random() {
  random_state_ += 0x9e3779b97f4a7c15u;
  uint64_t z = random_state_;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

void SimLoop::PostRemote(std::function<void()> work) {
  Post(*new RemoteWork(std::move(work)));
}

absl::StatusOr<std::unique_ptr<io::Listener>> SimLoop::Listen(
    const io::Endpoint& endpoint, const io::ListenOptions& /*options*/) {
  if (listeners_.count(endpoint.ToString()) > 0) {
    return absl::AlreadyExistsError(
        absl::StrFormat("%s: Address already in use", endpoint.ToString()));
  }
  return std::make_unique<SimListener>(*this, endpoint);
}

void SimLoop::StartConnect(io::ConnectOp& op) {
  op.set_handle(new Connecting(*this, op));
}

void SimLoop::CancelConnect(io::ConnectOp& op) {
  static_cast<Connecting*>(op.handle())->Cancel();
}

void SimLoop::set_refused(const io::Endpoint& server, bool refused) {
  refused_[server.ToString()] = refused;
}

void SimLoop::set_out_of_descriptors(const io::Endpoint& server, bool out) {
  listeners_.at(server.ToString())->set_failing(out);
}

void SimLoop::ResetConnectionsTo(const io::Endpoint& server) {
  for (const auto& made : made_[server.ToString()]) {
    const std::shared_ptr<Connection> connection = made.lock();
    if (connection == nullptr) continue;
    connection->to_server.Reset();
    connection->to_client.Reset();
  }
  made_[server.ToString()].clear();
}

void SimLoop::SayUnasked(const io::Endpoint& server, std::string_view bytes) {
  for (const auto& made : made_[server.ToString()]) {
    const std::shared_ptr<Connection> connection = made.lock();
    if (connection != nullptr) connection->to_client.Inject(bytes);
  }
}

}  // namespace tlspost::sim
