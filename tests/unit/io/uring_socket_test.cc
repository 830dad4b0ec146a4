// Streams of the io_uring loop where only real sockets will do: buffers that
// run out under slow readers, resets by force, no descriptors left.

#include "common/io/uring_socket.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "common/io/task_group.h"
#include "common/io/uring.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

class UringSocketTest : public ::testing::Test {
 public:
  void Open(unsigned buffers) {
    UringOptions options;
    options.submission_entries = 64;
    options.receive_buffers = buffers;
    auto loop = CreateUringLoop(options);
    ASSERT_TRUE(loop.ok()) << MessageOf(loop.status());
    loop_ = *std::move(loop);
    auto listener =
        loop_->Listen(*Endpoint::FromIp("127.0.0.1", 0), ListenOptions());
    ASSERT_TRUE(listener.ok()) << MessageOf(listener.status());
    listener_ = *std::move(listener);
  }
  Loop& loop() { return *loop_; }
  Listener& listener() { return *listener_; }
  Time In(Duration duration) { return loop_->Now() + duration; }

  // A client outside the loop, as a plain descriptor.
  int ConnectPlainly() {
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_storage storage;
    const socklen_t length = listener_->local().ToSockaddr(storage);
    EXPECT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&storage), length), 0);
    return fd;
  }

 private:
  TimeLimit limit_;
  std::unique_ptr<Loop> loop_;
  std::unique_ptr<Listener> listener_;
};

Task<void> Push(Stream& stream, std::string_view bytes) {
  const absl::Status written = co_await stream.Write(bytes, kNever);
  EXPECT_TRUE(written.ok()) << written;
  stream.ShutdownWrite();
}

// Many streams have received and are not read; the buffers are all needed for
// the one that is.
Task<void> HogBuffers(UringSocketTest& test) {
  const std::string piece = Pattern(20000);
  const std::string bulk = Pattern(4 << 20);
  std::vector<Pair> hogs;
  for (int i = 0; i < 20; ++i) {
    auto pair = co_await Connect(test.listener());
    pair.server->Watch();
    const absl::Status sent = co_await pair.client->Write(piece, kNever);
    CO_ASSERT_OK(sent);
    hogs.push_back(std::move(pair));
  }
  auto busy = co_await Connect(test.listener());
  TaskGroup beside(test.loop());
  beside.Spawn(Push(*busy.client, bulk));
  const Time deadline = test.In(60s);
  auto heard = co_await ReadAll(*busy.server, deadline);
  EXPECT_TRUE(heard.ended) << heard.status;
  EXPECT_TRUE(heard.bytes == bulk) << heard.bytes.size();
  co_await beside.Drained(kNever);
  for (Pair& hog : hogs) {
    auto kept = co_await ReadOctets(*hog.server, piece.size(), deadline);
    EXPECT_TRUE(kept.bytes == piece) << kept.status;
  }
}

TEST_F(UringSocketTest, SlowSessionsDoNotHoldTheBuffersOfOthers) {
  Open(/*buffers=*/8);
  Play(loop(), HogBuffers(*this));
}

// A chunk that a session keeps is a buffer that the kernel does not have.
Task<void> KeepBeside(Stream& stream, std::vector<Chunk>& kept) {
  auto chunk = co_await stream.Read(kNever);
  CO_ASSERT_OK(chunk);
  kept.push_back(*std::move(chunk));
}

// One connection for each buffer, and its chunk kept. What comes to a reader
// that waits is never copied, so that the kernel has none left.
Task<void> KeepEveryBuffer(UringSocketTest& test, int buffers,
                           std::vector<Pair>& pairs, std::vector<Chunk>& kept) {
  for (int i = 0; i < buffers; ++i) {
    auto pair = co_await Connect(test.listener());
    TaskGroup beside(test.loop());
    beside.Spawn(KeepBeside(*pair.server, kept));
    const absl::Status sent = co_await pair.client->Write("kept", kNever);
    EXPECT_TRUE(sent.ok()) << sent;
    co_await beside.Drained(kNever);
    pairs.push_back(std::move(pair));
  }
}

Task<void> StarveAndFeed(UringSocketTest& test) {
  std::vector<Pair> pairs;
  std::vector<Chunk> kept;
  co_await KeepEveryBuffer(test, 4, pairs, kept);
  auto starving = co_await Connect(test.listener());
  const absl::Status sent = co_await starving.client->Write("hello", kNever);
  CO_ASSERT_OK(sent);
  const Time soon = test.In(100ms);
  auto nothing = co_await starving.server->Read(soon);
  EXPECT_TRUE(absl::IsDeadlineExceeded(nothing.status())) << nothing.status();
  kept.pop_back();
  const Time deadline = test.In(30s);
  auto fed = co_await ReadOctets(*starving.server, 5, deadline);
  EXPECT_EQ(fed.bytes, "hello") << fed.status;
}

TEST_F(UringSocketTest, ReceivesAgainWhenABufferComesBack) {
  Open(/*buffers=*/4);
  Play(loop(), StarveAndFeed(*this));
}

Task<void> StarveAndDestroy(UringSocketTest& test) {
  std::vector<Pair> pairs;
  std::vector<Chunk> kept;
  co_await KeepEveryBuffer(test, 4, pairs, kept);
  auto goes = co_await Connect(test.listener());
  auto stays = co_await Connect(test.listener());
  goes.server->Watch();
  stays.server->Watch();
  const absl::Status one = co_await goes.client->Write("hello", kNever);
  CO_ASSERT_OK(one);
  const absl::Status two = co_await stays.client->Write("hello", kNever);
  CO_ASSERT_OK(two);
  const Time pause = test.In(50ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_FALSE(stays.server->readable()) << "it starves";
  goes.server.reset();
  kept.clear();
  const Time deadline = test.In(30s);
  auto fed = co_await ReadOctets(*stays.server, 5, deadline);
  EXPECT_EQ(fed.bytes, "hello") << fed.status;
}

TEST_F(UringSocketTest, AStarvedStreamMayBeDestroyed) {
  Open(/*buffers=*/4);
  Play(loop(), StarveAndDestroy(*this));
}

// --- the outside world ----------------------------------------------------

Task<void> SeeReset(UringSocketTest& test, int fd) {
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

TEST_F(UringSocketTest, AResetIsUnavailable) {
  Open(/*buffers=*/8);
  Play(loop(), SeeReset(*this, ConnectPlainly()));
}

Task<void> AcceptGone(UringSocketTest& test) {
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  auto heard = co_await ReadAll(**server, kNever);
  EXPECT_TRUE(heard.ended || absl::IsUnavailable(heard.status));
}

TEST_F(UringSocketTest, AClientThatIsGoneBeforeItIsAcceptedHurtsNobody) {
  Open(/*buffers=*/8);
  const int fd = ConnectPlainly();
  const linger now = {1, 0};
  setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  close(fd);
  close(ConnectPlainly());
  Play(loop(), AcceptGone(*this));
}

std::string ReceivePlainly(int fd, size_t octets) {
  std::string text(octets, '\0');
  const ssize_t got = recv(fd, text.data(), text.size(), MSG_WAITALL);
  text.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return text;
}

Task<void> SpeakTcp(UringSocketTest& test, int fd) {
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

TEST_F(UringSocketTest, UrgentDataIsNotPartOfTheStream) {
  Open(/*buffers=*/8);
  Play(loop(), SpeakTcp(*this, ConnectPlainly()));
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

Task<void> RunOutOfDescriptors(UringSocketTest& test) {
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

TEST_F(UringSocketTest, E111AcceptsAgainWhenDescriptorsAreFree) {
  Open(/*buffers=*/8);
  const int fd = ConnectPlainly();
  ASSERT_EQ(send(fd, "hello", 5, 0), 5);
  Play(loop(), RunOutOfDescriptors(*this));
  close(fd);
}

}  // namespace
}  // namespace tlspost::io
