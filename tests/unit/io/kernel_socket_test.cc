// Streams where only real sockets will do: resets by force, urgent data, queues
// that are full, no descriptors left.

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <memory>
#include <string>
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

class SocketTest : public ::testing::TestWithParam<EngineChoice> {
 public:
  SocketTest()
      : loop_(MakeLoop(GetParam(),
                       {.submission_entries = 64, .receive_buffers = 64})) {
    auto listener =
        loop_->Listen(*Endpoint::FromIp("127.0.0.1", 0), ListenOptions());
    EXPECT_TRUE(listener.ok()) << MessageOf(listener.status());
    listener_ = *std::move(listener);
  }
  Loop& loop() { return *loop_; }
  Listener& listener() { return *listener_; }
  Time In(Duration duration) { return loop_->Now() + duration; }

  // A client outside the loop, as a plain descriptor.
  int ConnectPlainly() { return ConnectPlainly(listener_->local()); }
  int ConnectPlainly(const Endpoint& to) {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_storage storage;
    const socklen_t length = to.ToSockaddr(storage);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    return fd;
  }

 private:
  TimeLimit limit_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Listener> listener_;
};

INSTANTIATE_TEST_SUITE_P(Kernel, SocketTest, testing::ValuesIn(kKernelEngines),
                         EngineName);

// --- the outside world ----------------------------------------------------

Task<void> SeeReset(SocketTest& test, int fd) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  ReadOnce read;
  TaskGroup beside(test.loop());
  beside.Spawn(ReadBeside(**server, kNever, read));
  const Time pause = test.In(20ms);
  co_await SleepOp(test.loop(), pause);
  const linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
  co_await beside.Drained(kNever);
  EXPECT_TRUE(absl::IsUnavailable(read.status)) << read.status;
  const absl::Status written = co_await (*server)->Write("x", kNever);
  EXPECT_TRUE(absl::IsUnavailable(written)) << written;
}

TEST_P(SocketTest, AResetIsUnavailable) {
  Play(loop(), SeeReset(*this, ConnectPlainly()));
}

Task<void> AcceptGone(SocketTest& test) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  auto heard = co_await ReadAll(**server, kNever);
  EXPECT_TRUE(heard.ended || absl::IsUnavailable(heard.status));
}

TEST_P(SocketTest, AClientThatIsGoneBeforeItIsAcceptedHurtsNobody) {
  const int fd = ConnectPlainly();
  const linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
  close(ConnectPlainly());
  Play(loop(), AcceptGone(*this));
}

// A server refuses in mid-message and closes: whoever hears that a write has
// failed can read why.
Task<void> WriteToWhoHasRefused(SocketTest& test, int fd) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  Stream& stream = **server;
  stream.Watch();
  // It leaves what it has not read, which makes of its end a reset.
  const absl::Status sent = co_await stream.Write("unread", kNever);
  EXPECT_TRUE(sent.ok());
  const std::string_view refusal = "552 too much\r\n";
  // Behind the loop's look at what has happened, and before the write.
  EXPECT_EQ(send(fd, refusal.data(), refusal.size(), 0),
            static_cast<ssize_t>(refusal.size()));
  close(fd);
  absl::Status written;
  for (int i = 0; i < 100 && written.ok(); ++i) {
    written = co_await stream.Write("more of the message\r\n", kNever);
  }
  EXPECT_TRUE(absl::IsUnavailable(written)) << written;
  EXPECT_TRUE(stream.readable());
  auto heard = co_await stream.Read(kNever);
  CO_ASSERT_OK(heard);
  EXPECT_EQ(heard->view(), refusal);
}

TEST_P(SocketTest, WhatWasSaidBeforeAResetIsThereWhenTheWriteFails) {
  Play(loop(), WriteToWhoHasRefused(*this, ConnectPlainly()));
}

// Looks, in its turn, at what has reached `fd`.
class LookOnce final : public Runnable {
 public:
  explicit LookOnce(int fd) : fd_(fd) {}
  void Run() override {
    char octets[16];
    const ssize_t got = recv(fd_, octets, sizeof(octets), MSG_DONTWAIT);
    seen_.assign(octets, static_cast<size_t>(std::max<ssize_t>(got, 0)));
  }
  const std::string& seen() const { return seen_; }

 private:
  const int fd_;
  std::string seen_;
};

Task<void> WriteBeforeDeferredWork(SocketTest& test, int fd) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  LookOnce look(fd);
  test.loop().Defer(look);
  const absl::Status sent = co_await (*server)->Write("reply", kNever);
  EXPECT_TRUE(sent.ok()) << sent;
  const Time pause = test.In(1ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_EQ(look.seen(), "reply") << "it lay there during the deferred work";
}

// Handshakes of others take milliseconds: no reply waits behind them.
TEST_P(SocketTest, WhatIsWrittenLeavesBeforeDeferredWorkBegins) {
  const int fd = ConnectPlainly();
  Play(loop(), WriteBeforeDeferredWork(*this, fd));
  close(fd);
}

Task<void> CloseWhatLivesOn(SocketTest& test) {
  auto fd = OpenListenSocket(*Endpoint::FromIp("127.0.0.1", 0), {});
  CO_ASSERT_OK(fd);
  const int copy = dup(*fd);
  auto listener = test.loop().Listen(BoundEndpoint(copy), {.socket = *fd});
  CO_ASSERT_OK(listener);
  (*listener)->Close(Listener::Queue::kLeave);
  const auto none = co_await (*listener)->Accept();
  EXPECT_TRUE(absl::IsCancelled(none.status()));
  listener->reset();
  const int client = test.ConnectPlainly(BoundEndpoint(copy));
  const Time pause = test.In(20ms);
  co_await SleepOp(test.loop(), pause);
  // Whoever has the copy gets the client.
  const int accepted = accept(copy, nullptr, nullptr);
  EXPECT_GE(accepted, 0);
  for (const int each : {accepted, client, copy}) close(each);
}

// As in a takeover, where another process has the very same socket.
TEST_P(SocketTest, AListenerThatIsClosedLeavesItsSocketToOthers) {
  Play(loop(), CloseWhatLivesOn(*this));
}

std::string ReceivePlainly(int fd, size_t octets) {
  std::string text(octets, '\0');
  const ssize_t got = recv(fd, text.data(), text.size(), MSG_WAITALL);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

Task<void> SpeakTcp(SocketTest& test, int fd) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  // Urgent data and a peer that reads only at the end.
  EXPECT_EQ(send(fd, "a", 1, MSG_OOB), 1);
  EXPECT_EQ(send(fd, "bc", 2, 0), 2);
  auto heard = co_await ReadOctets(**server, 2, kNever);
  EXPECT_EQ(heard.bytes, "bc") << "urgent data is out of band";
  const absl::Status written = co_await (*server)->Write("reply", kNever);
  EXPECT_TRUE(written.ok()) << written;
  EXPECT_EQ(ReceivePlainly(fd, 5), "reply");
  close(fd);
}

TEST_P(SocketTest, UrgentDataIsNotPartOfTheStream) {
  Play(loop(), SpeakTcp(*this, ConnectPlainly()));
}

Task<void> HearAbcd(SocketTest& test) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  const Time deadline = test.In(10s);
  auto heard = co_await ReadOctets(**server, 4, deadline);
  EXPECT_EQ(heard.bytes, "abcd") << heard.status;
}

// A read ends at the urgent octet, however much there is behind it.
TEST_P(SocketTest, ReadsOnBehindAnUrgentOctet) {
  const int fd = ConnectPlainly();
  EXPECT_EQ(send(fd, "abx", 3, MSG_OOB), 3);  // the last one is urgent
  EXPECT_EQ(send(fd, "cd", 2, 0), 2);
  Play(loop(), HearAbcd(*this));
  close(fd);
}

// What was sent, and the end or a reset by `fd`, are all there before the read,
// which has room for more; and nothing new will come.
Task<void> HearAll(SocketTest& test, int fd, bool is_reset) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  EXPECT_EQ(send(fd, "bye", 3, 0), 3);
  const linger now = {1, 0};
  if (is_reset) setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
  const Time pause = test.In(20ms);
  co_await SleepOp(test.loop(), pause);
  const Time deadline = test.In(10s);
  auto heard = co_await ReadAll(**server, deadline);
  EXPECT_EQ(heard.bytes, "bye");
  EXPECT_EQ(heard.ended, !is_reset) << heard.status;
  EXPECT_EQ(absl::IsUnavailable(heard.status), is_reset) << heard.status;
}

TEST_P(SocketTest, HearsOctetsAndTheEndThatCameTogether) {
  Play(loop(), HearAll(*this, ConnectPlainly(), /*is_reset=*/false));
}

TEST_P(SocketTest, HearsOctetsAndTheResetThatCameTogether) {
  Play(loop(), HearAll(*this, ConnectPlainly(), /*is_reset=*/true));
}

// Processor time of this thread, which a busy machine does not make longer. It
// leaves little of it to a loop that spins, though.
Duration ProcessorTime() {
  timespec used;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return std::chrono::seconds(used.tv_sec) +
         std::chrono::nanoseconds(used.tv_nsec);
}

// Peers that have reset, that have ended, and that send what nobody reads, with
// and without somebody who watched.
Task<void> SleepBesideTheDead(SocketTest& test, std::vector<int> clients) {
  std::vector<std::unique_ptr<Stream>> servers;
  for (size_t i = 0; i < clients.size(); ++i) {
    auto server = co_await test.listener().Accept();
    CO_ASSERT_OK(server);
    if (i % 2 == 0) (*server)->Watch();
    servers.push_back(*std::move(server));
  }
  const linger now = {1, 0};
  for (size_t i = 0; i < clients.size(); ++i) {
    EXPECT_EQ(send(clients[i], "x", 1, 0), 1);
    if (i % 3 == 0) {
      setsockopt(clients[i], SOL_SOCKET, SO_LINGER, &now, sizeof(now));
      close(clients[i]);
    } else if (i % 3 == 1) {
      close(clients[i]);
    }
  }
  const Time settled = test.In(50ms);
  co_await SleepOp(test.loop(), settled);
  const Duration before = ProcessorTime();
  const Time later = test.In(1s);
  co_await SleepOp(test.loop(), later);
  EXPECT_LT(ProcessorTime() - before, 5ms) << "it does not sleep";
}

TEST_P(SocketTest, SleepsWhileNobodyWantsWhatThereIs) {
  std::vector<int> clients;
  for (int i = 0; i < 12; ++i) clients.push_back(ConnectPlainly());
  Play(loop(), SleepBesideTheDead(*this, clients));
  for (size_t i = 2; i < clients.size(); i += 3) close(clients[i]);
}

Task<void> ReplaceStreams(SocketTest& test) {
  for (int i = 0; i < 50; ++i) {
    auto old = co_await Connect(test.listener());
    old.server->Watch();
    const absl::Status sent = co_await old.client->Write("old", kNever);
    CO_ASSERT_OK(sent);
    // What has come for it must not be taken for its successor's.
    old.server.reset();
    old.client.reset();
    auto young = co_await Connect(test.listener());
    const absl::Status written = co_await young.client->Write("new", kNever);
    CO_ASSERT_OK(written);
    young.client->ShutdownWrite();
    const Time deadline = test.In(10s);
    auto heard = co_await ReadAll(*young.server, deadline);
    EXPECT_EQ(heard.bytes, "new");
    EXPECT_TRUE(heard.ended) << heard.status;
  }
}

TEST_P(SocketTest, ADescriptorsSuccessorHearsNothingOfIt) {
  Play(loop(), ReplaceStreams(*this));
}

Task<void> LoseStreamsToOthers(SocketTest& test) {
  for (int i = 0; i < 50; ++i) {
    auto pair = co_await Connect(test.listener());
    pair.server->Watch();
    const absl::Status sent = co_await pair.client->Write("x", kNever);
    CO_ASSERT_OK(sent);
    bool is_gone = false;
    // In the turn in which the octet comes.
    test.loop().PostRemote([&] {
      pair.server.reset();
      is_gone = true;
    });
    const Time limit = test.In(10s);
    while (!is_gone && test.loop().Now() < limit) {
      const Time pause = test.In(1ms);
      co_await SleepOp(test.loop(), pause);
    }
    CO_ASSERT_TRUE(is_gone);
  }
}

TEST_P(SocketTest, RemoteWorkMayDestroyWhatHasReceived) {
  Play(loop(), LoseStreamsToOthers(*this));
}

// More than any loop serves in one turn.
Task<void> WatchAllAtOnce(SocketTest& test) {
  std::vector<Pair> pairs;
  for (int i = 0; i < 300; ++i) {
    auto pair = co_await Connect(test.listener());
    const absl::Status sent = co_await pair.client->Write("x", kNever);
    CO_ASSERT_OK(sent);
    pairs.push_back(std::move(pair));
  }
  const Time settled = test.In(50ms);
  co_await SleepOp(test.loop(), settled);
  for (const Pair& pair : pairs) pair.server->Watch();
  const Time deadline = test.In(10s);
  for (const Pair& pair : pairs) {
    auto heard = co_await ReadOctets(*pair.server, 1, deadline);
    EXPECT_EQ(heard.bytes, "x") << heard.status;
  }
}

TEST_P(SocketTest, NobodyIsForgottenWhenAllBeginToReceive) {
  Play(loop(), WatchAllAtOnce(*this));
}

// --- a Unix socket whose queue is full ------------------------------------

// Takes as many connections as its queue holds, and no more until Accept.
class FullUnixSocket {
 public:
  FullUnixSocket()
      : endpoint_(Endpoint::Unix(testing::TempDir() + "tlspost-full-" +
                                 std::to_string(getpid()))) {
    sockaddr_storage storage;
    const socklen_t length = endpoint_.ToSockaddr(storage);
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    unlink(endpoint_.ToString().c_str() + 5);  // behind "unix:"
    fd_ = socket(AF_UNIX, SOCK_STREAM, 0);
    EXPECT_EQ(bind(fd_, address, length), 0);
    EXPECT_EQ(listen(fd_, 0), 0);
    while (true) {
      const int filler = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
      fillers_.push_back(filler);
      if (connect(filler, address, length) != 0) break;
    }
    EXPECT_EQ(errno, EAGAIN);
  }
  ~FullUnixSocket() {
    for (const int filler : fillers_) close(filler);
    close(fd_);
    unlink(endpoint_.ToString().c_str() + 5);
  }
  const Endpoint& endpoint() const { return endpoint_; }
  void Accept() { fillers_.push_back(accept(fd_, nullptr, nullptr)); }

 private:
  const Endpoint endpoint_;
  int fd_;
  std::vector<int> fillers_;
};

struct Connected {
  bool done = false;
  absl::Status status;
};
Task<void> ConnectBesideOthers(Loop& loop, Endpoint endpoint, Time deadline,
                               Connected& connected) {
  ConnectOp connect(loop, endpoint, deadline);
  auto stream = co_await connect;
  connected.status = stream.status();
  connected.done = true;
}

Task<void> ConnectWhenThereIsRoom(SocketTest& test, FullUnixSocket& full) {
  Connected in_vain;
  const Time soon = test.In(60ms);
  co_await ConnectBesideOthers(test.loop(), full.endpoint(), soon, in_vain);
  EXPECT_TRUE(absl::IsDeadlineExceeded(in_vain.status)) << in_vain.status;
  Connected patient;
  TaskGroup beside(test.loop());
  const Time late = test.In(30s);
  beside.Spawn(
      ConnectBesideOthers(test.loop(), full.endpoint(), late, patient));
  const Time pause = test.In(60ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_FALSE(patient.done);
  full.Accept();
  co_await beside.Drained(kNever);
  EXPECT_TRUE(patient.status.ok()) << patient.status;
}

TEST_P(SocketTest, WaitsForRoomInAUnixSocketsQueue) {
  FullUnixSocket full;
  Play(loop(), ConnectWhenThereIsRoom(*this, full));
}

// --- no descriptors left --------------------------------------------------

// Lowers the limit so that no descriptor above those open can be had.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const int next = dup(0);
    close(next);
    rlimit none = before_;
    none.rlim_cur = static_cast<rlim_t>(next);
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }

 private:
  rlimit before_;
};

Task<void> RunOutOfDescriptors(SocketTest& test) {
  const Endpoint endpoint = test.listener().local();
  {
    const NoDescriptors none;
    auto refused = co_await test.listener().Accept();
    EXPECT_TRUE(absl::IsResourceExhausted(refused.status()))
        << refused.status();
    EXPECT_EQ(MessageOf(refused.status()), "accept: Too many open files");
    ConnectOp connect(test.loop(), endpoint, kNever);
    auto connected = co_await connect;
    EXPECT_EQ(
        MessageOf(connected.status()),
        "connect to " + endpoint.ToString() + ": socket: Too many open files");
    auto refused_again = co_await test.listener().Accept();
    EXPECT_TRUE(absl::IsResourceExhausted(refused_again.status()))
        << refused_again.status();
  }
  const Time deadline = test.In(30s);
  auto accepted = co_await test.listener().Accept();
  CO_ASSERT_OK(accepted);
  auto heard = co_await ReadOctets(**accepted, 5, deadline);
  EXPECT_EQ(heard.bytes, "hello");
}

TEST_P(SocketTest, E111AcceptsAgainWhenDescriptorsAreFree) {
  const int fd = ConnectPlainly();
  ASSERT_EQ(send(fd, "hello", 5, 0), 5);
  Play(loop(), RunOutOfDescriptors(*this));
  close(fd);
}

}  // namespace
}  // namespace tlspost::io
