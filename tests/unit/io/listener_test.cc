// The contract of io::Listener, over every loop.

#include "common/io/listener.h"

#include <chrono>
#include <memory>
#include <utility>
#include <vector>

#include "common/io/task_group.h"
#include "tests/unit/io/loop_under_test.h"

namespace tlspost::io {
namespace {

using std::chrono_literals::operator""ms;

struct Accepted {
  bool done = false;
  absl::Status status;
  std::unique_ptr<Stream> stream;
};

Task<void> AcceptBeside(Listener& listener, Accepted& accepted) {
  auto stream = co_await listener.Accept();
  accepted.status = stream.status();
  if (stream.ok()) accepted.stream = *std::move(stream);
  accepted.done = true;
}

class ListenerTest : public LoopTest {};

LOOP_TEST(ListenerTest, KnowsWhereItListens) {
  EXPECT_GT(test.listener().local().port(), 0);
  co_return;
}

LOOP_TEST(ListenerTest, AWaitingAcceptGetsTheNextClient) {
  Accepted accepted;
  TaskGroup beside(test.loop());
  beside.Spawn(AcceptBeside(test.listener(), accepted));
  const Time pause = test.In(30ms);
  co_await SleepOp(test.loop(), pause);
  EXPECT_FALSE(accepted.done);
  const Endpoint endpoint = test.listener().local();
  ConnectOp connect(test.loop(), endpoint, kNever);
  auto client = co_await connect;
  CO_ASSERT_OK(client);
  co_await beside.Drained(kNever);
  CO_ASSERT_OK(accepted.status);
  EXPECT_EQ(accepted.stream->peer(), (*client)->local());
}

LOOP_TEST(ListenerTest, ClientsThatCameBeforehandAreHandedOutInOrder) {
  const Endpoint endpoint = test.listener().local();
  std::vector<std::unique_ptr<Stream>> clients;
  for (char name = 'a'; name < 'k'; ++name) {
    ConnectOp connect(test.loop(), endpoint, kNever);
    auto client = co_await connect;
    CO_ASSERT_OK(client);
    const std::string_view text(&name, 1);
    const absl::Status sent = co_await (*client)->Write(text, kNever);
    CO_ASSERT_OK(sent);
    clients.push_back(*std::move(client));
  }
  for (char name = 'a'; name < 'k'; ++name) {
    auto server = co_await test.listener().Accept();
    CO_ASSERT_OK(server);
    auto heard = co_await ReadOctets(**server, 1, kNever);
    EXPECT_EQ(heard.bytes, std::string(1, name));
  }
}

LOOP_TEST(ListenerTest, CloseEndsAWaitingAccept) {
  Accepted accepted;
  TaskGroup beside(test.loop());
  beside.Spawn(AcceptBeside(test.listener(), accepted));
  test.listener().Close();
  EXPECT_FALSE(accepted.done) << "never inline";
  co_await beside.Drained(kNever);
  EXPECT_TRUE(absl::IsCancelled(accepted.status)) << accepted.status;
  auto late = co_await test.listener().Accept();
  EXPECT_TRUE(absl::IsCancelled(late.status())) << late.status();
  test.listener().Close();
}

// They have been told by the kernel that they are connected.
LOOP_TEST(ListenerTest, WhoCameBeforeCloseIsHandedOut) {
  const Endpoint endpoint = test.listener().local();
  // Makes it accept in the background, where the loop does so.
  auto first = co_await Connect(test.listener());
  std::vector<std::unique_ptr<Stream>> clients;
  for (int i = 0; i < 5; ++i) {
    ConnectOp connect(test.loop(), endpoint, kNever);
    auto client = co_await connect;
    CO_ASSERT_OK(client);
    clients.push_back(*std::move(client));
  }
  test.listener().Close();
  int accepted = 0;
  while (true) {
    auto server = co_await test.listener().Accept();
    if (absl::IsCancelled(server.status())) break;
    CO_ASSERT_OK(server);
    const absl::Status sent = co_await (*server)->Write("x", kNever);
    CO_ASSERT_OK(sent);
    ++accepted;
  }
  EXPECT_EQ(accepted, 5);
  for (const auto& client : clients) {
    auto heard = co_await ReadOctets(*client, 1, kNever);
    EXPECT_EQ(heard.bytes, "x");
  }
}

LOOP_TEST(ListenerTest, WhoCameBeforeTheFirstAcceptIsHandedOutAtClose) {
  const Endpoint endpoint = test.listener().local();
  ConnectOp connect(test.loop(), endpoint, kNever);
  auto client = co_await connect;
  CO_ASSERT_OK(client);
  test.listener().Close();
  auto server = co_await test.listener().Accept();
  CO_ASSERT_OK(server);
  auto end = co_await test.listener().Accept();
  EXPECT_TRUE(absl::IsCancelled(end.status())) << end.status();
}

LOOP_TEST(ListenerTest, AClosedListenerRefusesClients) {
  const Endpoint endpoint = test.listener().local();
  test.listener().Close();
  ConnectOp connect(test.loop(), endpoint, kNever);
  auto client = co_await connect;
  // The kernel closes the socket a little later: then it is a reset.
  if (client.ok()) {
    auto heard = co_await ReadAll(**client, kNever);
    EXPECT_TRUE(heard.ended || !heard.status.ok());
  }
}

LOOP_TEST(ListenerTest, MayBeDestroyedWithClientsInItsQueue) {
  const Endpoint endpoint = test.listener().local();
  // Makes it accept in the background, where the loop does so.
  auto first = co_await Connect(test.listener());
  std::vector<std::unique_ptr<Stream>> clients;
  for (int i = 0; i < 5; ++i) {
    ConnectOp connect(test.loop(), endpoint, kNever);
    auto client = co_await connect;
    CO_ASSERT_OK(client);
    clients.push_back(*std::move(client));
  }
  const Time pause = test.In(30ms);
  co_await SleepOp(test.loop(), pause);
}

LOOP_TEST(ListenerTest, AnAddressIsNotListenedOnTwice) {
  ListenOptions alone;
  alone.reuse_port = false;
  const auto second = test.loop().Listen(test.listener().local(), alone);
  EXPECT_FALSE(second.ok());
  co_return;
}

INSTANTIATE_TEST_SUITE_P(AllLoops, ListenerTest, testing::ValuesIn(AllLoops()),
                         LoopName);

}  // namespace
}  // namespace tlspost::io
