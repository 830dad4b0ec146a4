// The contract of io::Stream, the bytes: order, amounts, back-pressure. The
// same tests run over every loop (loop_under_test.h).

#include "common/io/stream.h"

#include <chrono>
#include <string>
#include <utility>

#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// What the kernel's buffers of one loopback connection may hold, and a pipe of
// the simulation does hold at most.
constexpr size_t kMaxInFlight = 16 << 20;
// Loopback sockets hand over at most this at once (tcp_rmem's default limit).
constexpr size_t kSocketBuffer = 8 << 20;

class StreamTest : public LoopTest {
 public:
  Task<void> Echo(Stream& stream) {
    while (true) {
      auto chunk = co_await stream.Read(kNever);
      if (!chunk.ok() || chunk->empty()) break;
      const absl::Status written = co_await stream.Write(chunk->view(), kNever);
      EXPECT_TRUE(written.ok()) << written;
    }
    stream.ShutdownWrite();
  }

  // Sends `bytes` in pieces of growing size, then FIN.
  Task<void> SendInPieces(Stream& stream, std::string_view bytes) {
    size_t piece = 1;
    while (!bytes.empty()) {
      const std::string_view next = bytes.substr(0, piece);
      const absl::Status written = co_await stream.Write(next, kNever);
      EXPECT_TRUE(written.ok()) << written;
      if (!written.ok()) co_return;
      bytes.remove_prefix(next.size());
      piece = piece * 3 / 2 + 1;
    }
    stream.ShutdownWrite();
  }

  // Reads to the end with a pause now and then.
  Task<void> ReadSlowly(Stream& stream, std::string& bytes) {
    int reads = 0;
    while (true) {
      auto chunk = co_await stream.Read(kNever);
      EXPECT_TRUE(chunk.ok()) << chunk.status();
      if (!chunk.ok() || chunk->empty()) co_return;
      bytes.append(chunk->view());
      if (++reads % 64 == 0) {
        const Time until = In(1ms);
        co_await SleepOp(loop(), until);
      }
    }
  }
};

LOOP_TEST(StreamTest, EchoesAndKnowsItsEnds) {
  auto pair = co_await Connect(test.listener());
  EXPECT_EQ(pair.client->peer(), test.listener().local());
  EXPECT_EQ(pair.server->local(), test.listener().local());
  EXPECT_EQ(pair.server->peer(), pair.client->local());
  TaskGroup beside(test.loop());
  beside.Spawn(test.Echo(*pair.server));
  const absl::Status written = co_await pair.client->Write("hello", kNever);
  EXPECT_TRUE(written.ok()) << written;
  auto heard = co_await ReadOctets(*pair.client, 5, kNever);
  EXPECT_EQ(heard.bytes, "hello");
  pair.client->ShutdownWrite();
  auto rest = co_await ReadAll(*pair.client, kNever);
  EXPECT_TRUE(rest.ended);
  EXPECT_EQ(rest.bytes, "");
  co_await beside.Drained(kNever);
}

// Each message names its connection's ends: no system call for each.
LOOP_TEST(StreamTest, ItsOwnEndIsAskedForOnce) {
  auto pair = co_await Connect(test.listener());
  CO_ASSERT_TRUE(pair.server != nullptr);
  const Endpoint* first = &pair.server->local();
  EXPECT_EQ(&pair.server->local(), first) << "made anew";
}

LOOP_TEST(StreamTest, AProxyInFrontGivesItOtherEnds) {
  auto pair = co_await Connect(test.listener());
  const Endpoint peer = *Endpoint::FromIp("192.0.2.1", 40000);
  const Endpoint local = *Endpoint::FromIp("203.0.113.1", 25);
  pair.server->SetEnds(peer, local);
  EXPECT_EQ(pair.server->peer(), peer);
  EXPECT_EQ(pair.server->local(), local);
  EXPECT_EQ(pair.client->peer(), test.listener().local());
}

LOOP_TEST(StreamTest, WhatIsPutBackIsReadFirst) {
  auto pair = co_await Connect(test.listener());
  const absl::Status written = co_await pair.client->Write("hello", kNever);
  CO_ASSERT_OK(written);
  pair.client->ShutdownWrite();
  auto first = co_await pair.server->Read(kNever);
  CO_ASSERT_OK(first.status());
  CO_ASSERT_TRUE(first->size() >= 2);
  first->Consume(2);
  pair.server->PutBack(*std::move(first));
  EXPECT_TRUE(pair.server->readable());
  auto rest = co_await ReadAll(*pair.server, kNever);
  EXPECT_TRUE(rest.ended);
  EXPECT_EQ(rest.bytes, "llo");
  // Nothing is put back by putting back nothing.
  pair.server->PutBack(Chunk());
  auto end = co_await pair.server->Read(kNever);
  EXPECT_TRUE(end.ok() && end->empty());
}

LOOP_TEST(StreamTest, ThousandsOfSmallMessagesStayInOrder) {
  auto pair = co_await Connect(test.listener());
  TaskGroup beside(test.loop());
  beside.Spawn(test.Echo(*pair.server));
  for (int i = 0; i < 3000; ++i) {
    const std::string line = "message " + std::to_string(i) + "\r\n";
    const absl::Status written = co_await pair.client->Write(line, kNever);
    CO_ASSERT_OK(written);
    auto heard = co_await ReadOctets(*pair.client, line.size(), kNever);
    CO_ASSERT_TRUE(heard.bytes == line);
  }
  pair.client->ShutdownWrite();
  co_await beside.Drained(kNever);
}

LOOP_TEST(StreamTest, SmallWritesWithoutAReaderArriveWholeAndInOrder) {
  auto pair = co_await Connect(test.listener());
  pair.server->Watch();
  std::string sent;
  for (int i = 0; i < 2000; ++i) {
    const std::string piece = std::to_string(i) + ",";
    const absl::Status written = co_await pair.client->Write(piece, kNever);
    CO_ASSERT_OK(written);
    sent += piece;
  }
  pair.client->ShutdownWrite();
  auto heard = co_await ReadAll(*pair.server, kNever);
  EXPECT_EQ(heard.bytes, sent);
  EXPECT_TRUE(heard.ended);
}

LOOP_TEST(StreamTest, LargeTransfersBothWaysAtOnceWithSlowReaders) {
  auto pair = co_await Connect(test.listener());
  const std::string up = Pattern(8 << 20, 1);
  const std::string down = Pattern(8 << 20, 2);
  std::string up_heard;
  std::string down_heard;
  TaskGroup beside(test.loop());
  beside.Spawn(test.SendInPieces(*pair.client, up));
  beside.Spawn(test.SendInPieces(*pair.server, down));
  beside.Spawn(test.ReadSlowly(*pair.server, up_heard));
  beside.Spawn(test.ReadSlowly(*pair.client, down_heard));
  co_await beside.Drained(kNever);
  EXPECT_TRUE(up == up_heard) << up_heard.size();
  EXPECT_TRUE(down == down_heard) << down_heard.size();
}

LOOP_TEST(StreamTest, AWriterWaitsForAReader) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(2 * kMaxInFlight);
  Written written;
  TaskGroup beside(test.loop());
  beside.Spawn(WriteBeside(*pair.client, bytes, kNever, written));
  pair.server->Watch();
  const Time until = test.In(300ms);
  co_await SleepOp(test.loop(), until);
  EXPECT_FALSE(written.done) << "nobody reads: this must not fit";
  auto heard = co_await ReadOctets(*pair.server, bytes.size(), kNever);
  EXPECT_TRUE(heard.bytes == bytes) << heard.status;
  co_await beside.Drained(kNever);
  EXPECT_TRUE(written.status.ok()) << written.status;
}

LOOP_TEST(StreamTest, WhatWaitsUnreadIsBounded) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(2 * kMaxInFlight);
  Written written;
  TaskGroup beside(test.loop());
  beside.Spawn(WriteBeside(*pair.client, bytes, kNever, written));
  pair.server->Watch();
  const Time until = test.In(300ms);
  co_await SleepOp(test.loop(), until);
  const size_t waiting = pair.server->DiscardInput();
  EXPECT_GE(waiting, Stream::kReadHighWater) << "it was filled";
  EXPECT_LE(waiting, Stream::kReadHighWater + kSocketBuffer);
  // Once more: the brake must take hold again after it was released.
  pair.server->Watch();
  const Time again = test.In(300ms);
  co_await SleepOp(test.loop(), again);
  EXPECT_FALSE(written.done);
  const size_t waiting_again = pair.server->DiscardInput();
  EXPECT_LE(waiting_again, Stream::kReadHighWater + kSocketBuffer);
  auto heard = co_await ReadOctets(
      *pair.server, bytes.size() - waiting - waiting_again, kNever);
  const std::string_view expected(bytes);
  EXPECT_TRUE(heard.bytes == expected.substr(waiting + waiting_again));
  co_await beside.Drained(kNever);
}

LOOP_TEST(StreamTest, WritesTwoSlicesInOrder) {
  auto pair = co_await Connect(test.listener());
  const std::string_view none;
  Stream& client = *pair.client;
  const absl::Status both = co_await client.Write("one ", "two ", kNever);
  const absl::Status first = co_await client.Write("three ", none, kNever);
  const absl::Status second = co_await client.Write(none, "four ", kNever);
  const absl::Status neither = co_await client.Write(none, none, kNever);
  EXPECT_TRUE(both.ok()) << both;
  EXPECT_TRUE(first.ok()) << first;
  EXPECT_TRUE(second.ok()) << second;
  EXPECT_TRUE(neither.ok()) << neither;
  pair.client->ShutdownWrite();
  auto heard = co_await ReadAll(*pair.server, kNever);
  EXPECT_EQ(heard.bytes, "one two three four ");
}

Task<void> WriteTwo(Stream& stream, std::string_view first,
                    std::string_view second, Written& written) {
  written.status = co_await stream.Write(first, second, kNever);
  written.done = true;
  stream.ShutdownWrite();
}

// Neither slice fits what the kernel or a pipe takes at once, so that progress
// stops inside the first, at their border and inside the second.
LOOP_TEST(StreamTest, TwoLargeSlicesArriveWhole) {
  auto pair = co_await Connect(test.listener());
  const std::string first = Pattern(9'000'001, 3);
  const std::string second = Pattern(7'000'003, 4);
  Written written;
  TaskGroup beside(test.loop());
  beside.Spawn(WriteTwo(*pair.client, first, second, written));
  std::string heard;
  beside.Spawn(test.ReadSlowly(*pair.server, heard));
  co_await beside.Drained(kNever);
  EXPECT_TRUE(written.status.ok()) << written.status;
  EXPECT_TRUE(heard == first + second) << heard.size();
}

LOOP_TEST(StreamTest, NothingCompletesInline) {
  auto pair = co_await Connect(test.listener());
  pair.server->Watch();
  const absl::Status sent = co_await pair.client->Write("x", kNever);
  CO_ASSERT_OK(sent);
  while (!pair.server->readable()) {
    const Time soon = test.In(1ms);
    co_await SleepOp(test.loop(), soon);
  }
  ReadOnce read;
  Written written;
  TaskGroup beside(test.loop());
  beside.Spawn(ReadBeside(*pair.server, kNever, read));
  beside.Spawn(WriteBeside(*pair.client, "", kNever, written));
  EXPECT_FALSE(read.done) << "although the byte is here";
  EXPECT_FALSE(written.done) << "although there is nothing to write";
  co_await beside.Drained(kNever);
  EXPECT_TRUE(read.done);
  EXPECT_TRUE(written.done);
}

LOOP_TEST(StreamTest, WatchMakesReadableTrueWithoutAReader) {
  auto pair = co_await Connect(test.listener());
  pair.server->Watch();
  const Time while_idle = test.In(50ms);
  co_await SleepOp(test.loop(), while_idle);
  EXPECT_FALSE(pair.server->readable());
  const absl::Status sent = co_await pair.client->Write("421 bye", kNever);
  CO_ASSERT_OK(sent);
  const Time limit = test.In(30s);
  while (!pair.server->readable() && test.loop().Now() < limit) {
    const Time soon = test.In(1ms);
    co_await SleepOp(test.loop(), soon);
  }
  EXPECT_TRUE(pair.server->readable());
  auto chunk = co_await pair.server->Read(kNever);
  CO_ASSERT_OK(chunk);
  EXPECT_EQ(chunk->view(), "421 bye");
  EXPECT_FALSE(pair.server->readable());
  pair.client.reset();
  while (!pair.server->readable() && test.loop().Now() < limit) {
    const Time soon = test.In(1ms);
    co_await SleepOp(test.loop(), soon);
  }
  EXPECT_TRUE(pair.server->readable()) << "the end counts as well";
}

LOOP_TEST(StreamTest, DiscardInputDropsWhatCameAndNothingElse) {
  auto pair = co_await Connect(test.listener());
  EXPECT_EQ(pair.server->DiscardInput(), 0u);
  pair.server->Watch();
  const absl::Status sent = co_await pair.client->Write("injected", kNever);
  CO_ASSERT_OK(sent);
  while (!pair.server->readable()) {
    const Time soon = test.In(1ms);
    co_await SleepOp(test.loop(), soon);
  }
  EXPECT_EQ(pair.server->DiscardInput(), 8u);
  EXPECT_FALSE(pair.server->readable());
  EXPECT_EQ(pair.server->DiscardInput(), 0u);
  const absl::Status more = co_await pair.client->Write("later", kNever);
  CO_ASSERT_OK(more);
  auto heard = co_await ReadOctets(*pair.server, 5, kNever);
  EXPECT_EQ(heard.bytes, "later");
}

LOOP_TEST(StreamTest, ManyConnectionsAtOnce) {
  std::vector<Pair> pairs;
  TaskGroup echoes(test.loop());
  for (int i = 0; i < 100; ++i) {
    auto pair = co_await Connect(test.listener());
    CO_ASSERT_TRUE(pair.client != nullptr && pair.server != nullptr);
    echoes.Spawn(test.Echo(*pair.server));
    pairs.push_back(std::move(pair));
  }
  for (int round = 0; round < 20; ++round) {
    for (Pair& pair : pairs) {
      const absl::Status sent = co_await pair.client->Write("ping", kNever);
      CO_ASSERT_OK(sent);
    }
    for (Pair& pair : pairs) {
      auto heard = co_await ReadOctets(*pair.client, 4, kNever);
      CO_ASSERT_TRUE(heard.bytes == "ping");
    }
  }
  for (Pair& pair : pairs) pair.client->ShutdownWrite();
  co_await echoes.Drained(kNever);
}

INSTANTIATE_TEST_SUITE_P(AllLoops, StreamTest, testing::ValuesIn(AllLoops()),
                         LoopName);

}  // namespace
}  // namespace tlspost::io
