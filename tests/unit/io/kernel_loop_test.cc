// The loops over the kernel's sockets, beyond the contract: threads, tiny
// rings, several loops, kernels that answer with errors, destruction with work
// in flight.

#include "common/io/kernel_loop.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/io/listen_socket.h"
#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class KernelLoopTest : public ::testing::TestWithParam<EngineChoice> {
 protected:
  std::unique_ptr<Loop> NewLoop() {
    return MakeLoop(GetParam(),
                    {.submission_entries = 64, .receive_buffers = 64});
  }

 private:
  TimeLimit limit_;
};

INSTANTIATE_TEST_SUITE_P(Kernel, KernelLoopTest,
                         testing::ValuesIn(kKernelEngines), EngineName);

std::unique_ptr<Listener> ListenOn(Loop& loop, const Endpoint& endpoint) {
  auto listener = loop.Listen(endpoint, ListenOptions());
  if (!listener.ok()) {
    ADD_FAILURE() << MessageOf(listener.status());
    abort();
  }
  return *std::move(listener);
}

int OpenDescriptors() {
  int open = 0;
  for (int fd = 0; fd < 4096; ++fd) {
    if (fcntl(fd, F_GETFD) != -1) ++open;
  }
  return open;
}

// --- a crowd over rings of any size ---------------------------------------

// One client that says `rounds` lines and hears each back.
Task<void> TalkBeside(Stream& stream, int rounds, int name, int& finished) {
  const Time deadline = stream.loop().Now() + 100s;
  for (int i = 0; i < rounds; ++i) {
    const std::string line =
        std::to_string(name) + " says " + std::to_string(i) + "\n";
    const absl::Status written = co_await stream.Write(line, deadline);
    CO_ASSERT_OK(written);
    auto heard = co_await ReadOctets(stream, line.size(), deadline);
    CO_ASSERT_TRUE(heard.bytes == line);
  }
  stream.ShutdownWrite();
  ++finished;
}

Task<void> EchoBeside(Stream& stream) {
  while (true) {
    auto chunk = co_await stream.Read(kNever);
    if (!chunk.ok() || chunk->empty()) co_return;
    const absl::Status written = co_await stream.Write(chunk->view(), kNever);
    EXPECT_TRUE(written.ok()) << written;
  }
}

// All talk at once: each turn submits and completes hundreds of operations.
Task<void> Crowd(Listener& listener, Loop& loop, int clients, int rounds) {
  std::vector<Pair> pairs;
  TaskGroup tasks(loop);
  int finished = 0;
  for (int i = 0; i < clients; ++i) {
    auto pair = co_await Connect(listener);
    CO_ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
    pairs.push_back(std::move(pair));
  }
  for (int i = 0; i < clients; ++i) {
    tasks.Spawn(EchoBeside(*pairs[i].server));
    tasks.Spawn(TalkBeside(*pairs[i].client, rounds, i, finished));
  }
  const bool drained = co_await tasks.Drained(kNever);
  EXPECT_TRUE(drained);
  EXPECT_EQ(finished, clients);
}

void PlayCrowd(EngineChoice engine, const LoopOptions& options, int clients,
               int rounds) {
  const auto loop = MakeLoop(engine, options);
  const auto listener = ListenOn(*loop, AnyPort());
  Play(*loop, Crowd(*listener, *loop, clients, rounds));
}

TEST_P(KernelLoopTest, ServesACrowd) {
  PlayCrowd(GetParam(), LoopOptions(), 200, 20);
}

// What only io_uring can run out of.
struct RingSize {
  std::string name;
  unsigned entries;
  unsigned buffers;
  int clients;
  int rounds;
};
void PrintTo(const RingSize& size, std::ostream* out) { *out << size.name; }

class UringSizeTest : public ::testing::TestWithParam<RingSize> {
  TimeLimit limit_;
};

TEST_P(UringSizeTest, ServesACrowd) {
  const RingSize& size = GetParam();
  PlayCrowd(
      EngineChoice::kIoUring,
      {.submission_entries = size.entries, .receive_buffers = size.buffers},
      size.clients, size.rounds);
}

INSTANTIATE_TEST_SUITE_P(
    Tiny, UringSizeTest,
    testing::Values(
        // The kernel runs out of receive buffers all the time: every receive
        // ends with ENOBUFS and is armed again.
        RingSize{"EightReceiveBuffers", 1024, 8, 200, 20},
        RingSize{"OneReceiveBuffer", 1024, 1, 50, 20},
        // Both queues overflow: eight entries to submit with, 64 for
        // completions.
        RingSize{"EightSubmissionEntries", 8, 1024, 300, 10},
        RingSize{"TinyRingsAndBuffers", 8, 8, 200, 10}),
    [](const auto& info) { return info.param.name; });

// --- other threads --------------------------------------------------------

class Tally {
 public:
  explicit Tally(Loop& loop, int expected) : loop_(loop), left_(expected) {}
  void One() {
    if (--left_ == 0) loop_.Stop();
  }
  int left() const { return left_; }

 private:
  Loop& loop_;
  int left_;
};

TEST_P(KernelLoopTest, OtherThreadsWakeIt) {
  constexpr int kThreads = 4;
  constexpr int kPosts = 2000;
  const auto loop = NewLoop();
  Tally tally(*loop, kThreads * kPosts);
  const std::thread::id loop_thread = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) {
    threads.emplace_back([&] {
      for (int post = 0; post < kPosts; ++post) {
        loop->PostRemote([&] {
          EXPECT_EQ(std::this_thread::get_id(), loop_thread);
          tally.One();
        });
        if (post % 100 == 0) usleep(100);
      }
    });
  }
  loop->Run();
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(tally.left(), 0);
}

TEST_P(KernelLoopTest, RemoteWorkMayPostMore) {
  const auto loop = NewLoop();
  int runs = 0;
  std::function<void()> again = [&] {
    if (++runs == 100) {
      loop->Stop();
    } else {
      loop->PostRemote(again);
    }
  };
  loop->PostRemote(again);
  loop->Run();
  EXPECT_EQ(runs, 100);
}

// What a worker's thread does in the test below.
struct Shard {
  std::unique_ptr<Loop> loop;
  std::unique_ptr<Listener> listener;
  int accepted = 0;
};

Task<void> GreetAll(Shard& shard) {
  while (true) {
    auto stream = co_await shard.listener->Accept();
    if (!stream.ok()) break;
    ++shard.accepted;
    const absl::Status sent = co_await (*stream)->Write("hello", kNever);
    EXPECT_TRUE(sent.ok()) << sent;
  }
}

Task<void> VisitAll(Loop& loop, Endpoint endpoint, int visits) {
  for (int i = 0; i < visits; ++i) {
    const Time deadline = loop.Now() + 60s;
    ConnectOp connect(loop, endpoint, deadline);
    auto client = co_await connect;
    CO_ASSERT_OK(client);
    auto heard = co_await ReadAll(**client, deadline);
    CO_ASSERT_TRUE(heard.bytes == "hello");
  }
}

TEST_P(KernelLoopTest, TwoLoopsShareAPort) {
  constexpr int kVisits = 300;
  std::atomic<int> port = 0;
  std::atomic<int> listening = 0;
  Shard shards[2];
  std::vector<std::thread> threads;
  for (Shard& shard : shards) {
    threads.emplace_back([this, &shard, &port, &listening] {
      shard.loop = NewLoop();
      Endpoint endpoint = AnyPort();
      static std::mutex binding;
      {
        const std::lock_guard<std::mutex> lock(binding);
        if (port != 0) {
          endpoint = *Endpoint::FromIp("127.0.0.1",
                                       static_cast<uint16_t>(port.load()));
        }
        shard.listener = ListenOn(*shard.loop, endpoint);
        port = shard.listener->local().port();
      }
      ++listening;
      Play(*shard.loop, GreetAll(shard));
      shard.listener.reset();
      shard.loop.reset();
    });
  }
  while (listening < 2) usleep(1000);
  {
    const auto loop = NewLoop();
    const Endpoint endpoint =
        *Endpoint::FromIp("127.0.0.1", static_cast<uint16_t>(port.load()));
    Play(*loop, VisitAll(*loop, endpoint, kVisits));
  }
  for (Shard& shard : shards) {
    shard.loop->PostRemote([&shard] { shard.listener->Close(); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(shards[0].accepted + shards[1].accepted, kVisits);
  EXPECT_GT(shards[0].accepted, 0) << "the kernel spreads the clients";
  EXPECT_GT(shards[1].accepted, 0);
}

// --- Unix sockets ---------------------------------------------------------

Task<void> EchoOnce(Listener& listener, Loop& loop) {
  auto pair = co_await Connect(listener);
  CO_ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
  EXPECT_TRUE(pair.client->peer().is_unix());
  EXPECT_TRUE(pair.server->peer().is_unix());
  EXPECT_EQ(pair.server->local(), listener.local());
  TaskGroup tasks(loop);
  int finished = 0;
  tasks.Spawn(EchoBeside(*pair.server));
  tasks.Spawn(TalkBeside(*pair.client, 100, 1, finished));
  co_await tasks.Drained(kNever);
  EXPECT_EQ(finished, 1);
}

TEST_P(KernelLoopTest, TalksOverUnixSockets) {
  const std::string path =
      testing::TempDir() + "tlspost-loop-" + std::to_string(getpid());
  unlink(path.c_str());
  const auto loop = NewLoop();
  const auto listener = ListenOn(*loop, Endpoint::Unix(path));
  Play(*loop, EchoOnce(*listener, *loop));
  unlink(path.c_str());
}

Task<void> ConnectTo(Loop& loop, Endpoint endpoint, absl::Status& status) {
  ConnectOp connect(loop, endpoint, kNever);
  auto connected = co_await connect;
  status = connected.status();
}

TEST_P(KernelLoopTest, AMissingUnixSocketIsNamed) {
  const auto loop = NewLoop();
  absl::Status status;
  Play(*loop, ConnectTo(*loop, Endpoint::Unix("/no/such/socket"), status));
  EXPECT_EQ(MessageOf(status),
            "connect to unix:/no/such/socket: No such file or directory");
}

// --- connects that hang ---------------------------------------------------

// A listener whose backlog is full drops further SYNs: connects hang.
class BlackHole {
 public:
  BlackHole() {
    ListenOptions options;
    options.backlog = 0;
    options.reuse_port = false;
    const auto fd = OpenListenSocket(AnyPort(), options);
    if (!fd.ok()) abort();
    fd_ = *fd;
    sockaddr_storage storage = {};
    socklen_t length = sizeof(storage);
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    getsockname(fd_, address, &length);
    endpoint_ = Endpoint::FromSockaddr(address, length);
    for (int i = 0; i < 4; ++i) {
      const int filler = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      [[maybe_unused]] const int pending = connect(filler, address, length);
      fillers_.push_back(filler);
    }
  }
  ~BlackHole() {
    for (const int filler : fillers_) close(filler);
    close(fd_);
  }
  const Endpoint& endpoint() const { return endpoint_; }

 private:
  int fd_;
  Endpoint endpoint_;
  std::vector<int> fillers_;
};

Task<void> ConnectInVain(Loop& loop, Endpoint endpoint) {
  const Time deadline = loop.Now() + 100ms;
  ConnectOp connect(loop, endpoint, deadline);
  auto connected = co_await connect;
  EXPECT_TRUE(absl::IsDeadlineExceeded(connected.status()))
      << connected.status();
  EXPECT_EQ(MessageOf(connected.status()),
            "connect to " + endpoint.ToString() + ": timeout");
  EXPECT_GE(loop.Now(), deadline);
  EXPECT_LE(loop.Now(), deadline + 5s);
}

TEST_P(KernelLoopTest, AConnectThatHangsEndsAtItsDeadline) {
  const BlackHole hole;
  const int before = OpenDescriptors();
  {
    const auto loop = NewLoop();
    Play(*loop, ConnectInVain(*loop, hole.endpoint()));
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

Task<void> AwaitConnect(ConnectOp& connect, absl::Status& status) {
  auto connected = co_await connect;
  status = connected.status();
}

Task<void> ConnectAndCancel(Loop& loop, Endpoint endpoint) {
  ConnectOp connect(loop, endpoint, kNever);
  absl::Status status;
  TaskGroup tasks(loop);
  tasks.Spawn(AwaitConnect(connect, status));
  const Time pause = loop.Now() + 50ms;
  co_await SleepOp(loop, pause);
  EXPECT_TRUE(status.ok()) << "it still hangs";
  connect.Cancel();
  connect.Cancel();
  co_await tasks.Drained(kNever);
  EXPECT_FALSE(status.ok());
}

TEST_P(KernelLoopTest, AConnectThatHangsCanBeCancelled) {
  const BlackHole hole;
  const auto loop = NewLoop();
  Play(*loop, ConnectAndCancel(*loop, hole.endpoint()));
}

// --- the end of a loop ----------------------------------------------------

Task<void> LeaveStreamsOpen(Listener& listener, std::vector<Pair>& pairs) {
  for (int i = 0; i < 50; ++i) {
    auto pair = co_await Connect(listener);
    pair.server->Watch();
    const absl::Status sent = co_await pair.client->Write("x", kNever);
    CO_ASSERT_OK(sent);
    pairs.push_back(std::move(pair));
  }
}

TEST_P(KernelLoopTest, IsDestroyedWithSocketsStillClosing) {
  const int before = OpenDescriptors();
  {
    const auto loop = NewLoop();
    auto listener = ListenOn(*loop, AnyPort());
    std::vector<Pair> pairs;
    Play(*loop, LeaveStreamsOpen(*listener, pairs));
    // No turn comes any more: what the kernel holds is given up below.
    pairs.clear();
    listener.reset();
  }
  EXPECT_EQ(OpenDescriptors(), before) << "descriptors leak";
}

TEST_P(KernelLoopTest, IsDestroyedWithoutHavingRun) {
  const int before = OpenDescriptors();
  {
    const auto loop = NewLoop();
    const auto listener = ListenOn(*loop, AnyPort());
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_P(KernelLoopTest, AListenErrorIsOneLine) {
  const auto loop = NewLoop();
  const auto listener =
      loop->Listen(*Endpoint::FromIp("192.0.2.1", 2525), ListenOptions());
  ASSERT_FALSE(listener.ok());
  EXPECT_EQ(MessageOf(listener.status()),
            "cannot listen on 192.0.2.1:2525: Cannot assign requested address: "
            "no interface of this machine has this address");
}

// Connects `count` times, one after the other, and notes who the listener saw.
Task<void> ConnectOften(Loop& loop, Listener& listener, int count,
                        std::vector<std::string>* seen) {
  const Endpoint server = listener.local();
  for (int i = 0; i < count; ++i) {
    ConnectOp connect(loop, server, kNever);
    const auto client = co_await connect;
    EXPECT_TRUE(client.ok());
    const auto accepted = co_await listener.Accept();
    EXPECT_TRUE(accepted.ok());
    if (accepted.ok()) seen->push_back((*accepted)->peer().Address());
  }
  loop.Stop();
}

TEST_P(KernelLoopTest, ConnectsFromTheGivenAddressesInTurn) {
  const std::vector<Endpoint> sources = {*Endpoint::FromIp("127.0.0.7", 0),
                                         *Endpoint::FromIp("127.1.2.3", 0)};
  LoopOptions options;
  options.connect_from = sources;
  const auto loop = MakeLoop(GetParam(), options);
  std::vector<std::string> seen;
  {
    const auto listener = ListenOn(*loop, AnyPort());
    TaskGroup tasks(*loop);
    tasks.Spawn(ConnectOften(*loop, *listener, 3, &seen));
    loop->Run();
  }
  EXPECT_EQ(seen,
            std::vector<std::string>({"127.0.0.7", "127.1.2.3", "127.0.0.7"}));
}

Task<void> ConnectOnce(Loop& loop, Endpoint server, absl::Status* result) {
  ConnectOp connect(loop, server, kNever);
  const auto client = co_await connect;
  *result = client.status();
  loop.Stop();
}

TEST_P(KernelLoopTest, SaysThatASourceAddressIsNotOurs) {
  const std::vector<Endpoint> sources = {*Endpoint::FromIp("192.0.2.1", 0)};
  LoopOptions options;
  options.connect_from = sources;
  const auto loop = MakeLoop(GetParam(), options);
  absl::Status result;
  {
    TaskGroup tasks(*loop);
    tasks.Spawn(ConnectOnce(*loop, *Endpoint::FromIp("127.0.0.1", 9), &result));
    loop->Run();
  }
  EXPECT_EQ(MessageOf(result),
            "connect to 127.0.0.1:9: bind: Cannot assign requested address");
}

}  // namespace
}  // namespace tlspost::io
