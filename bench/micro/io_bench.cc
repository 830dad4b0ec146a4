// What the engines of a loop cost: the same streams over io_uring and epoll,
// both ends on one loop and one loopback, so that TCP's own work is in it
// twice.
//
// Compare the two in one run, with --benchmark_enable_random_interleaving.

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/base/check.h"
#include "common/base/task.h"
#include "common/io/engine.h"
#include "common/io/listener.h"
#include "common/io/stream.h"
#include "common/io/task_group.h"

namespace tlspost {
namespace {

struct Wire {
  std::unique_ptr<io::Stream> client;
  std::unique_ptr<io::Stream> server;
};

Task<Wire> ConnectWire(io::Listener& listener) {
  Wire wire;
  io::AcceptOp accept = listener.Accept();
  const io::Endpoint endpoint = listener.local();
  io::ConnectOp connect(accept.loop(), endpoint, io::kNever);
  auto connected = co_await connect;
  TLSPOST_CHECK(connected.ok());
  auto accepted = co_await accept;
  TLSPOST_CHECK(accepted.ok());
  wire.client = *std::move(connected);
  wire.server = *std::move(accepted);
  co_return wire;
}

Task<void> EchoWire(io::Stream& stream) {
  while (true) {
    auto chunk = co_await stream.Read(io::kNever);
    if (!chunk.ok() || chunk->empty()) co_return;
    const absl::Status written =
        co_await stream.Write(chunk->view(), io::kNever);
    TLSPOST_CHECK(written.ok());
  }
}

// Sends `text` and hears it back.
Task<void> AskOnce(io::Stream& stream, std::string_view text) {
  const absl::Status asked = co_await stream.Write(text, io::kNever);
  TLSPOST_CHECK(asked.ok());
  size_t heard = 0;
  while (heard < text.size()) {
    auto chunk = co_await stream.Read(io::kNever);
    TLSPOST_CHECK(chunk.ok() && !chunk->empty());
    heard += chunk->size();
  }
}

Task<void> AskAll(benchmark::State& state, io::Listener& listener,
                  io::Loop& loop) {
  const auto connections = static_cast<size_t>(state.range(1));
  const std::string text(static_cast<size_t>(state.range(2)), 'x');
  std::vector<Wire> wires;
  io::TaskGroup echoes(loop);
  for (size_t i = 0; i < connections; ++i) {
    auto wire = co_await ConnectWire(listener);
    wires.push_back(std::move(wire));
    echoes.Spawn(EchoWire(*wires.back().server));
  }
  while (state.KeepRunningBatch(static_cast<int64_t>(connections))) {
    io::TaskGroup asks(loop);
    for (const Wire& wire : wires) asks.Spawn(AskOnce(*wire.client, text));
    co_await asks.Drained(io::kNever);
  }
  for (Wire& wire : wires) wire.client->ShutdownWrite();
  co_await echoes.Drained(io::kNever);
  loop.Stop();
}

// One request and its reply of the same size, on so many connections at once.
void BM_Exchange(benchmark::State& state) {
  const auto choice = static_cast<io::EngineChoice>(state.range(0));
  auto loop = io::CreateLoop(choice, io::LoopOptions());
  if (!loop.ok()) return state.SkipWithError("the engine cannot be used");
  auto listener = (*loop)->Listen(*io::Endpoint::FromIp("127.0.0.1", 0),
                                  io::ListenOptions());
  TLSPOST_CHECK(listener.ok());
  Task<void> all = AskAll(state, **listener, **loop);
  all.Start();
  (*loop)->Run();
  state.SetBytesProcessed(state.iterations() * state.range(2));
}
// As the argument "engine" has them: 1 and 2.
constexpr auto kUring = static_cast<int64_t>(io::EngineChoice::kIoUring);
constexpr auto kEpoll = static_cast<int64_t>(io::EngineChoice::kEpoll);
BENCHMARK(BM_Exchange)
    ->ArgNames({"engine", "connections", "octets"})
    ->ArgsProduct({{kUring, kEpoll}, {1, 100}, {100, 4096}})
    ->ArgsProduct({{kUring, kEpoll}, {4}, {65536}});

}  // namespace
}  // namespace tlspost
