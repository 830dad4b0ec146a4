// ControlServer: commands, their bounds, and the end.

#include "proxy/control_server.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <chrono>
#include <future>
#include <string>
#include <utility>
#include <vector>

#include "common/io/unix_channel.h"
#include "tests/unit/tls/temporary_folder.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""s;

class ControlServerTest : public ::testing::Test {
 protected:
  void Start() {
    server_.AddCommand("say", [](io::UnixChannel& channel,
                                 std::string_view argument) {
      EXPECT_TRUE(channel.Write("heard " + std::string(argument) + "\n").ok());
    });
    // Until the other side goes on, or the server ends.
    server_.AddCommand("wait", [](io::UnixChannel& channel, std::string_view) {
      EXPECT_TRUE(channel.Write("waiting\n").ok());
      const auto line = channel.ReadLine(60s);
      static_cast<void>(channel.Write(line.ok() ? "done\n" : "gone\n"));
    });
    const absl::Status started = server_.Start(path(), /*take_over=*/false);
    ASSERT_TRUE(started.ok()) << started;
  }

  std::string path() const { return folder_.Path("control"); }

  io::UnixChannel Connect() { return *io::UnixChannel::Connect(path()); }

  std::string Ask(const std::string& line) {
    io::UnixChannel channel = Connect();
    // It may be closed already.
    if (!channel.Write(line).ok()) return "nothing";
    const auto answer = channel.ReadLine(10s);
    return answer.ok() ? *answer : "nothing";
  }

  tls::TemporaryFolder folder_;
  ControlServer server_;
};

TEST_F(ControlServerTest, ACommandGetsTheRestOfItsLine) {
  Start();
  EXPECT_EQ(Ask("say good morning\n"), "heard good morning");
  EXPECT_EQ(Ask("say\n"), "heard ");
  EXPECT_EQ(Ask("sing\n"), "failed unknown command; there is: say wait");
}

TEST_F(ControlServerTest, OneThatWaitsKeepsNobodyWaiting) {
  Start();
  io::UnixChannel waiting = Connect();
  ASSERT_TRUE(waiting.Write("wait\n").ok());
  EXPECT_EQ(*waiting.ReadLine(10s), "waiting");
  EXPECT_EQ(Ask("say hello\n"), "heard hello");
  ASSERT_TRUE(waiting.Write("go on\n").ok());
  EXPECT_EQ(*waiting.ReadLine(10s), "done");
}

// No thread can be made: none has room for its stack.
class NoThreads {
 public:
  NoThreads() {
    pthread_getattr_default_np(&before_);
    pthread_attr_t huge;
    pthread_getattr_default_np(&huge);
    pthread_attr_setstacksize(&huge, size_t{1} << 50);
    EXPECT_EQ(pthread_setattr_default_np(&huge), 0);
    pthread_attr_destroy(&huge);
  }
  ~NoThreads() {
    pthread_setattr_default_np(&before_);
    pthread_attr_destroy(&before_);
  }

 private:
  pthread_attr_t before_;
};

TEST_F(ControlServerTest, OneWithoutAThreadIsClosed) {
  Start();
  {
    const NoThreads no_threads;
    EXPECT_EQ(Ask("say hello\n"), "nothing");
  }
  EXPECT_EQ(Ask("say hello\n"), "heard hello");
}

TEST_F(ControlServerTest, OneTooManyIsClosed) {
  Start();
  std::vector<io::UnixChannel> waiting;
  for (size_t i = 0; i < ControlServer::kMaxChannels; ++i) {
    waiting.push_back(Connect());
    ASSERT_TRUE(waiting.back().Write("wait\n").ok());
    EXPECT_EQ(*waiting.back().ReadLine(10s), "waiting");
  }
  EXPECT_EQ(Ask("say hello\n"), "nothing");
  ASSERT_TRUE(waiting.back().Write("go on\n").ok());
  EXPECT_EQ(*waiting.back().ReadLine(10s), "done");
  // Its place is free when its thread has seen the end.
  EXPECT_TRUE(absl::IsUnavailable(waiting.back().ReadLine(10s).status()));
  std::string heard = "nothing";
  const auto end = std::chrono::steady_clock::now() + 10s;
  while (heard == "nothing" && std::chrono::steady_clock::now() < end) {
    heard = Ask("say hello\n");
  }
  EXPECT_EQ(heard, "heard hello");
}

TEST_F(ControlServerTest, StopEndsWhoWaits) {
  Start();
  io::UnixChannel waiting = Connect();
  ASSERT_TRUE(waiting.Write("wait\n").ok());
  EXPECT_EQ(*waiting.ReadLine(10s), "waiting");
  // And one that has said nothing yet.
  const io::UnixChannel silent = Connect();
  server_.Stop();
  EXPECT_FALSE(io::UnixChannel::Connect(path()).ok());
}

}  // namespace
}  // namespace tlspost
