// The buffers that io_uring receives into, when they run out under slow
// readers.

#include "common/io/uring_buffers.h"

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr unsigned kBuffers = 8;

std::unique_ptr<Loop> NewLoopOfFewBuffers() {
  return MakeLoop(EngineChoice::kIoUring,
                  {.submission_entries = 64, .receive_buffers = kBuffers});
}

class UringBuffersTest : public LoopTest {};

Task<void> Push(Stream& stream, std::string_view bytes) {
  const absl::Status written = co_await stream.Write(bytes, kNever);
  EXPECT_TRUE(written.ok()) << written;
  stream.ShutdownWrite();
}

// Many streams have received and are not read; the buffers are all needed for
// the one that is.
Task<void> HogBuffers(UringBuffersTest& test) {
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

LOOP_TEST(UringBuffersTest, SlowSessionsDoNotHoldTheBuffersOfOthers) {
  co_await HogBuffers(test);
}

// A chunk that a session keeps is a buffer that the kernel does not have.
Task<void> KeepBeside(Stream& stream, std::vector<Chunk>& kept) {
  auto chunk = co_await stream.Read(kNever);
  CO_ASSERT_OK(chunk);
  kept.push_back(*std::move(chunk));
}

// One connection for each buffer, and its chunk kept. What comes to a reader
// that waits is never copied, so that the kernel has none left.
Task<void> KeepEveryBuffer(UringBuffersTest& test, std::vector<Pair>& pairs,
                           std::vector<Chunk>& kept) {
  for (unsigned i = 0; i < kBuffers; ++i) {
    auto pair = co_await Connect(test.listener());
    TaskGroup beside(test.loop());
    beside.Spawn(KeepBeside(*pair.server, kept));
    const absl::Status sent = co_await pair.client->Write("kept", kNever);
    EXPECT_TRUE(sent.ok()) << sent;
    co_await beside.Drained(kNever);
    pairs.push_back(std::move(pair));
  }
}

Task<void> StarveAndFeed(UringBuffersTest& test) {
  std::vector<Pair> pairs;
  std::vector<Chunk> kept;
  co_await KeepEveryBuffer(test, pairs, kept);
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

LOOP_TEST(UringBuffersTest, ReceivesAgainWhenABufferComesBack) {
  co_await StarveAndFeed(test);
}

Task<void> StarveAndDestroy(UringBuffersTest& test) {
  std::vector<Pair> pairs;
  std::vector<Chunk> kept;
  co_await KeepEveryBuffer(test, pairs, kept);
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

LOOP_TEST(UringBuffersTest, AStarvedStreamMayBeDestroyed) {
  co_await StarveAndDestroy(test);
}

INSTANTIATE_TEST_SUITE_P(Few, UringBuffersTest,
                         testing::Values(LoopKind{"Uring", /*real_time=*/true,
                                                  &NewLoopOfFewBuffers,
                                                  &AnyPort}),
                         LoopName);

}  // namespace
}  // namespace tlspost::io
