// The contract of io::Stream, the ends: deadlines, closing, half closing,
// resets, interrupts, connects that fail. Over every loop.

#include <chrono>
#include <string>
#include <utility>

#include "common/base/status.h"
#include "common/io/stream.h"
#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// More than a connection takes without a reader.
constexpr size_t kTooMuch = 32 << 20;

class StreamEndTest : public LoopTest {
 public:
  void ExpectOnTime(Time when, Time deadline) {
    EXPECT_GE(when, deadline) << "early";
    EXPECT_LE(when, deadline + slack()) << "late";
  }
};

LOOP_TEST(StreamEndTest, AReadEndsAtItsDeadlineAndTheStreamGoesOn) {
  auto pair = co_await Connect(test.listener());
  for (int i = 0; i < 3; ++i) {
    const Time deadline = test.In(50ms);
    auto nothing = co_await pair.server->Read(deadline);
    EXPECT_TRUE(absl::IsDeadlineExceeded(nothing.status())) << nothing.status();
    test.ExpectOnTime(test.loop().Now(), deadline);
    const absl::Status sent = co_await pair.client->Write("still", kNever);
    CO_ASSERT_OK(sent);
    auto heard = co_await ReadOctets(*pair.server, 5, kNever);
    EXPECT_EQ(heard.bytes, "still");
  }
}

LOOP_TEST(StreamEndTest, AReadThatIsServedIsNotEndedByItsDeadline) {
  auto pair = co_await Connect(test.listener());
  const absl::Status sent = co_await pair.client->Write("x", kNever);
  CO_ASSERT_OK(sent);
  const Time deadline = test.In(10s);
  auto heard = co_await ReadOctets(*pair.server, 1, deadline);
  EXPECT_EQ(heard.bytes, "x");
  // The old deadline is gone with the old read.
  const Time later = test.In(20s);
  ReadOnce read;
  TaskGroup beside(test.loop());
  beside.Spawn(ReadBeside(*pair.server, later, read));
  const Time pause = test.In(200ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_FALSE(read.done);
  pair.server->Close();
  co_await beside.Drained(kNever);
}

LOOP_TEST(StreamEndTest, AWriteEndsAtItsDeadline) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(kTooMuch);
  // Making it took its time, which the loop has not seen yet.
  const Time next_turn = test.In(1ms);
  co_await SleepOp(test.loop(), next_turn);
  const Time deadline = test.In(100ms);
  const absl::Status written = co_await pair.client->Write(bytes, deadline);
  EXPECT_TRUE(absl::IsDeadlineExceeded(written)) << written;
  test.ExpectOnTime(test.loop().Now(), deadline);
  // What had been taken arrives, and it is the beginning.
  pair.client->ShutdownWrite();
  auto heard = co_await ReadAll(*pair.server, kNever);
  EXPECT_TRUE(heard.ended) << heard.status;
  EXPECT_LT(heard.bytes.size(), bytes.size());
  const std::string_view sent(bytes);
  EXPECT_TRUE(heard.bytes == sent.substr(0, heard.bytes.size()));
}

LOOP_TEST(StreamEndTest, AWriteOfTwoSlicesEndsAtItsDeadline) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(kTooMuch);
  // Making it took its time, which the loop has not seen yet.
  const Time next_turn = test.In(1ms);
  co_await SleepOp(test.loop(), next_turn);
  const Time deadline = test.In(100ms);
  const absl::Status written =
      co_await pair.client->Write("head", bytes, deadline);
  EXPECT_TRUE(absl::IsDeadlineExceeded(written)) << written;
  test.ExpectOnTime(test.loop().Now(), deadline);
}

LOOP_TEST(StreamEndTest, AnIdleDeadlineOfAStuckWriterStillHoldsForTheReader) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(kTooMuch);
  // Making it took its time, which the loop has not seen yet.
  const Time next_turn = test.In(1ms);
  co_await SleepOp(test.loop(), next_turn);
  Written written;
  ReadOnce read;
  TaskGroup beside(test.loop());
  const Time write_deadline = test.In(200ms);
  const Time read_deadline = test.In(100ms);
  beside.Spawn(WriteBeside(*pair.client, bytes, write_deadline, written));
  beside.Spawn(ReadBeside(*pair.client, read_deadline, read));
  co_await beside.Drained(kNever);
  EXPECT_TRUE(absl::IsDeadlineExceeded(read.status)) << read.status;
  EXPECT_TRUE(absl::IsDeadlineExceeded(written.status)) << written.status;
  test.ExpectOnTime(read.when, read_deadline);
  test.ExpectOnTime(written.when, write_deadline);
}

LOOP_TEST(StreamEndTest, CloseEndsWhatIsUnderWayAndWhatComesLater) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(kTooMuch);
  // Making it took its time, which the loop has not seen yet.
  const Time next_turn = test.In(1ms);
  co_await SleepOp(test.loop(), next_turn);
  Written written;
  ReadOnce read;
  TaskGroup beside(test.loop());
  beside.Spawn(WriteBeside(*pair.client, bytes, kNever, written));
  beside.Spawn(ReadBeside(*pair.client, kNever, read));
  const Time pause = test.In(50ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_FALSE(written.done);
  EXPECT_FALSE(read.done);
  EXPECT_FALSE(pair.client->closed());
  pair.client->Close();
  EXPECT_TRUE(pair.client->closed());
  EXPECT_FALSE(written.done) << "never inline";
  EXPECT_FALSE(read.done) << "never inline";
  co_await beside.Drained(kNever);
  EXPECT_TRUE(absl::IsCancelled(written.status)) << written.status;
  EXPECT_TRUE(absl::IsCancelled(read.status)) << read.status;
  auto late = co_await pair.client->Read(kNever);
  EXPECT_TRUE(absl::IsCancelled(late.status())) << late.status();
  const absl::Status later = co_await pair.client->Write("x", kNever);
  EXPECT_TRUE(absl::IsCancelled(later)) << later;
  pair.client->Close();
}

LOOP_TEST(StreamEndTest, ClosedInTheTurnInWhichItBegan) {
  for (int i = 0; i < 20; ++i) {
    auto pair = co_await Connect(test.listener());
    Written written;
    ReadOnce read;
    TaskGroup beside(test.loop());
    beside.Spawn(ReadBeside(*pair.client, kNever, read));
    const absl::Status sent = co_await pair.server->Write("x", kNever);
    CO_ASSERT_OK(sent);
    const std::string bytes = Pattern(100000);
    beside.Spawn(WriteBeside(*pair.client, bytes, kNever, written));
    pair.client->Close();
    co_await beside.Drained(kNever);
    EXPECT_TRUE(read.done);
    EXPECT_TRUE(written.status.ok() || absl::IsCancelled(written.status))
        << written.status;
  }
}

LOOP_TEST(StreamEndTest, ThePeerSeesTheEndOfAClosedStream) {
  auto pair = co_await Connect(test.listener());
  const absl::Status sent = co_await pair.client->Write("bye", kNever);
  CO_ASSERT_OK(sent);
  pair.client.reset();
  auto heard = co_await ReadAll(*pair.server, kNever);
  EXPECT_EQ(heard.bytes, "bye");
  EXPECT_TRUE(heard.ended) << heard.status;
  auto again = co_await pair.server->Read(kNever);
  CO_ASSERT_OK(again);
  EXPECT_TRUE(again->empty()) << "the end stays the end";
  EXPECT_TRUE(pair.server->readable());
}

LOOP_TEST(StreamEndTest, AfterTheEndOfInputWritingStillWorks) {
  auto pair = co_await Connect(test.listener());
  pair.client->ShutdownWrite();
  auto end = co_await pair.server->Read(kNever);
  CO_ASSERT_OK(end);
  EXPECT_TRUE(end->empty());
  const absl::Status sent = co_await pair.server->Write("221 bye", kNever);
  EXPECT_TRUE(sent.ok()) << sent;
  pair.server->ShutdownWrite();
  auto heard = co_await ReadAll(*pair.client, kNever);
  EXPECT_EQ(heard.bytes, "221 bye");
  EXPECT_TRUE(heard.ended) << heard.status;
}

LOOP_TEST(StreamEndTest, ClosingWithUnreadInputResetsThePeer) {
  auto pair = co_await Connect(test.listener());
  const absl::Status sent = co_await pair.client->Write("unread", kNever);
  CO_ASSERT_OK(sent);
  pair.server.reset();
  auto heard = co_await ReadAll(*pair.client, kNever);
  EXPECT_FALSE(heard.ended);
  EXPECT_TRUE(absl::IsUnavailable(heard.status)) << heard.status;
  EXPECT_TRUE(pair.client->readable()) << "an error counts as well";
}

LOOP_TEST(StreamEndTest, WritingToAPeerThatHasGoneFails) {
  auto pair = co_await Connect(test.listener());
  pair.server.reset();
  absl::Status written;
  for (int i = 0; i < 1000 && written.ok(); ++i) {
    const Time deadline = test.In(30s);
    written = co_await pair.client->Write("is anybody there?", deadline);
    const Time pause = test.In(1ms);
    co_await SleepOp(test.loop(), pause);
  }
  EXPECT_TRUE(absl::IsUnavailable(written)) << written;
}

LOOP_TEST(StreamEndTest, APeerThatGoesEndsAWriteUnderWay) {
  auto pair = co_await Connect(test.listener());
  const std::string bytes = Pattern(kTooMuch);
  // Making it took its time, which the loop has not seen yet.
  const Time next_turn = test.In(1ms);
  co_await SleepOp(test.loop(), next_turn);
  Written written;
  TaskGroup beside(test.loop());
  beside.Spawn(WriteBeside(*pair.client, bytes, kNever, written));
  const Time pause = test.In(50ms);
  co_await SleepOp(test.loop(), pause);
  pair.server.reset();
  co_await beside.Drained(kNever);
  EXPECT_TRUE(absl::IsUnavailable(written.status)) << written.status;
}

LOOP_TEST(StreamEndTest, InterruptReadEndsTheReadAndNothingElse) {
  auto pair = co_await Connect(test.listener());
  pair.server->InterruptRead();  // nobody reads: nothing happens
  ReadOnce read;
  TaskGroup beside(test.loop());
  beside.Spawn(ReadBeside(*pair.server, kNever, read));
  pair.server->InterruptRead();
  pair.server->InterruptRead();
  EXPECT_FALSE(read.done) << "never inline";
  co_await beside.Drained(kNever);
  EXPECT_TRUE(absl::IsAborted(read.status)) << read.status;
  const absl::Status sent = co_await pair.client->Write("later", kNever);
  CO_ASSERT_OK(sent);
  auto heard = co_await ReadOctets(*pair.server, 5, kNever);
  EXPECT_EQ(heard.bytes, "later");
}

LOOP_TEST(StreamEndTest, AStreamMayBeDestroyedWhileItReceives) {
  for (int i = 0; i < 50; ++i) {
    auto pair = co_await Connect(test.listener());
    pair.server->Watch();
    const absl::Status sent = co_await pair.client->Write("x", kNever);
    CO_ASSERT_OK(sent);
    pair.server.reset();
    pair.client.reset();
  }
}

LOOP_TEST(StreamEndTest, AConnectThatIsRefusedNamesTheEndpoint) {
  const Endpoint endpoint = test.listener().local();
  test.listener().Close();
  const Time deadline = test.In(30s);
  ConnectOp connect(test.loop(), endpoint, deadline);
  auto connected = co_await connect;
  EXPECT_TRUE(absl::IsUnavailable(connected.status())) << connected.status();
  const std::string why(MessageOf(connected.status()));
  EXPECT_EQ(why, "connect to " + endpoint.ToString() + ": Connection refused");
}

Task<void> ConnectBeside(ConnectOp& connect, absl::Status& status, bool& done) {
  auto connected = co_await connect;
  status = connected.status();
  done = true;
}

LOOP_TEST(StreamEndTest, AConnectCanBeCancelled) {
  const Endpoint endpoint = test.listener().local();
  ConnectOp connect(test.loop(), endpoint, kNever);
  absl::Status status;
  bool done = false;
  TaskGroup beside(test.loop());
  beside.Spawn(ConnectBeside(connect, status, done));
  EXPECT_FALSE(done) << "never inline";
  connect.Cancel();
  co_await beside.Drained(kNever);
  EXPECT_TRUE(done);  // connected all the same, or not: it has ended
  connect.Cancel();   // too late: nothing happens
}

INSTANTIATE_TEST_SUITE_P(AllLoops, StreamEndTest, testing::ValuesIn(AllLoops()),
                         LoopName);

}  // namespace
}  // namespace tlspost::io
