// The loops over io_uring and epoll and the simulation, and small helpers over
// all of them.

#include "tests/unit/io/loop_under_test.h"

#include <signal.h>
#include <unistd.h>

#include <utility>

#include "common/base/frame_slab.h"
#include "common/base/status.h"
#include "common/io/timer_wheel.h"
#include "tests/sim/sim_loop.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""s;

std::unique_ptr<Loop> NewLoop(EngineChoice engine) {
  LoopOptions options;
  options.submission_entries = 128;
  options.receive_buffers = 64;
  return MakeLoop(engine, options);
}

std::unique_ptr<Loop> NewUringLoop() { return NewLoop(EngineChoice::kIoUring); }
std::unique_ptr<Loop> NewEpollLoop() { return NewLoop(EngineChoice::kEpoll); }

std::unique_ptr<Loop> NewSimLoop() {
  return std::make_unique<sim::SimLoop>(/*seed=*/1);
}

Endpoint AnyLoopbackPort() { return *Endpoint::FromIp("127.0.0.1", 0); }
Endpoint SomePort() { return *Endpoint::FromIp("192.0.2.25", 25); }

extern "C" void OnTimeLimit(int) {
  constexpr std::string_view kText = "\nTIME LIMIT: the test above hangs\n";
  [[maybe_unused]] const ssize_t written =
      write(STDERR_FILENO, kText.data(), kText.size());
  abort();
}

// Stops the loop when the outermost task has ended.
class Stopper final : public TaskOwner {
 public:
  explicit Stopper(Loop& loop) : loop_(loop) {}
  void OnTaskDone() override { loop_.Stop(); }

 private:
  Loop& loop_;
};

}  // namespace

std::unique_ptr<Loop> MakeLoop(EngineChoice engine,
                               const LoopOptions& options) {
  auto loop = CreateLoop(engine, options);
  if (!loop.ok()) {
    ADD_FAILURE() << MessageOf(loop.status());
    abort();
  }
  return *std::move(loop);
}

std::string EngineName(const ::testing::TestParamInfo<EngineChoice>& info) {
  return info.param == EngineChoice::kIoUring ? "Uring" : "Epoll";
}

std::vector<LoopKind> AllLoops() {
  return {
      {"Uring", /*real_time=*/true, &NewUringLoop, &AnyLoopbackPort},
      {"Epoll", /*real_time=*/true, &NewEpollLoop, &AnyLoopbackPort},
      {"Sim", /*real_time=*/false, &NewSimLoop, &SomePort},
  };
}

std::string LoopName(const ::testing::TestParamInfo<LoopKind>& info) {
  return info.param.name;
}

void PrintTo(const LoopKind& kind, std::ostream* out) { *out << kind.name; }

TimeLimit::TimeLimit(unsigned seconds) {
  signal(SIGALRM, &OnTimeLimit);
  alarm(seconds);
}

TimeLimit::~TimeLimit() { alarm(0); }

void Play(Loop& loop, Task<void> body) {
  Stopper stopper(loop);
  body.Start(&stopper);
  loop.Run();
  ASSERT_TRUE(body.done()) << "nothing can happen any more, but the test waits";
}

Task<Pair> Connect(Listener& listener) {
  Pair pair;
  AcceptOp accept = listener.Accept();
  Loop& loop = accept.loop();
  const Endpoint endpoint = listener.local();
  ConnectOp connect(loop, endpoint, loop.Now() + 60s);
  auto connected = co_await connect;
  EXPECT_TRUE(connected.ok()) << connected.status();
  auto accepted = co_await accept;
  EXPECT_TRUE(accepted.ok()) << accepted.status();
  pair.client = *std::move(connected);
  pair.server = *std::move(accepted);
  co_return pair;
}

Task<Received> ReadOctets(Stream& stream, size_t octets, Time deadline) {
  Received received;
  while (received.bytes.size() < octets) {
    auto chunk = co_await stream.Read(deadline);
    if (!chunk.ok()) {
      received.status = chunk.status();
      break;
    }
    if (chunk->empty()) {
      received.ended = true;
      break;
    }
    received.bytes.append(chunk->view());
  }
  co_return received;
}

Task<Received> ReadAll(Stream& stream, Time deadline) {
  auto received = co_await ReadOctets(stream, std::string::npos, deadline);
  co_return received;
}

Task<void> WriteBeside(Stream& stream, std::string_view bytes, Time deadline,
                       Written& written) {
  written.status = co_await stream.Write(bytes, deadline);
  written.when = stream.loop().Now();
  written.done = true;
}

Task<void> ReadBeside(Stream& stream, Time deadline, ReadOnce& read) {
  auto chunk = co_await stream.Read(deadline);
  read.status = chunk.status();
  if (chunk.ok()) read.bytes = std::string(chunk->view());
  read.when = stream.loop().Now();
  read.done = true;
}

std::string Pattern(size_t octets, uint64_t seed) {
  std::string bytes(octets, '\0');
  uint64_t state = seed * 0x9e3779b97f4a7c15u;
  for (char& octet : bytes) {
    state = state * 6364136223846793005u + 1442695040888963407u;
    octet = static_cast<char>(state >> 56);
  }
  return bytes;
}

LoopTest::LoopTest() : loop_(GetParam().create()) {
  auto listener = loop_->Listen(GetParam().endpoint(), ListenOptions());
  if (!listener.ok()) {
    ADD_FAILURE() << MessageOf(listener.status());
    abort();
  }
  listener_ = *std::move(listener);
}

LoopTest::~LoopTest() {
  listener_.reset();
  EXPECT_EQ(ThisThreadFrameUse().frames, 0) << "a coroutine was left over";
  loop_.reset();  // asserts that all blocks came back
}

Duration LoopTest::slack() const {
  return TimerWheel::kTick + (GetParam().real_time ? Duration(5s) : Duration());
}

}  // namespace tlspost::io
