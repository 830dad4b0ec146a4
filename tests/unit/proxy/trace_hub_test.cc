// Who listens, for how long, and how much is kept for them.

#include "proxy/trace_hub.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/io/task_group.h"
#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using ::testing::EndsWith;
using ::testing::MatchesRegex;
using std::chrono_literals::operator""s;

class TraceHubTest : public ::testing::Test {
 public:
  TraceHubTest() : tasks_(loop_) {
    const io::Endpoint endpoint = *io::Endpoint::FromIp("192.0.2.25", 25);
    listener_ = *loop_.Listen(endpoint, io::ListenOptions());
    tasks_.Spawn(Connect(endpoint));
    loop_.RunUntil([] { return false; }, io::Duration());
  }
  ~TraceHubTest() override {
    client_.reset();
    accepted_.reset();
    loop_.RunUntil([] { return false; }, io::Duration());
  }

 protected:
  uint64_t Open(const char* network = "0.0.0.0/0") {
    const auto opened = hub_.Open(*io::ParseNetworks({network}), loop_.Now());
    EXPECT_TRUE(opened.ok());
    return opened.value_or(0);
  }
  TraceHub::Batch Take(uint64_t number) {
    auto batch = hub_.Take(number, loop_.Now());
    EXPECT_TRUE(batch.ok());
    return batch.value_or(TraceHub::Batch());
  }
  void Wait(io::Duration time) {
    tasks_.Spawn(Sleep(loop_.Now() + time));
    loop_.RunUntil([this] { return tasks_.size() == 0; }, 2 * time);
  }
  const io::Stream& stream() { return *accepted_; }

  TraceHub hub_;
  sim::SimLoop loop_{/*seed=*/1};

 private:
  Task<void> Connect(io::Endpoint endpoint) {
    io::ConnectOp connect(loop_, endpoint, io::kNever);
    auto connected = co_await connect;
    client_ = *std::move(connected);
    auto accepted = co_await listener_->Accept();
    accepted_ = *std::move(accepted);
  }

  Task<void> Sleep(io::Time until) { co_await io::SleepOp(loop_, until); }

  io::TaskGroup tasks_;
  std::unique_ptr<io::Listener> listener_;
  std::unique_ptr<io::Stream> client_;
  std::unique_ptr<io::Stream> accepted_;
};

TEST_F(TraceHubTest, IsActiveWhileSomebodyListens) {
  EXPECT_FALSE(hub_.active());
  const uint64_t number = Open();
  EXPECT_TRUE(hub_.active());
  hub_.NoteLine(stream(), "QUIT", false);
  const std::vector<std::string> lines = Take(number).lines;
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_THAT(lines[0], MatchesRegex("[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3} "
                                     "192\\.0\\.2\\.[0-9]+:[0-9]+ C: QUIT"));
  hub_.Close(number);
  EXPECT_FALSE(hub_.active());
  EXPECT_FALSE(hub_.Take(number, loop_.Now()).ok());
}

TEST_F(TraceHubTest, OfAuthThereIsTheMechanism) {
  constexpr std::pair<std::string_view, std::string_view> kLines[] = {
      {"AUTH", "AUTH"},
      {"AUTH PLAIN", "AUTH PLAIN"},
      {"auth login  ", "auth login"},
      {"AUTH PLAIN AGZvbwBiYXI=", "AUTH PLAIN ***"},
      {"AUTH  PLAIN  AGZvbwBiYXI= x", "AUTH PLAIN ***"},
      {"AUTH PLAIN\tAGZvbwBiYXI=", "AUTH PLAIN ***"},
      {"AUTH\tPLAIN\tAGZvbwBiYXI=", "AUTH PLAIN ***"},
      {"AUTH AGZvbwBiYXI=", "AUTH ***"},
      {"AUTH HUNTER2", "AUTH ***"},
      {"AUTH\tHUNTER2 PLAIN", "AUTH ***"},
  };
  const uint64_t number = Open();
  for (const auto& [line, shown] : kLines) {
    hub_.NoteLine(stream(), line, false);
    const std::vector<std::string> lines = Take(number).lines;
    ASSERT_EQ(lines.size(), 1u);
    EXPECT_THAT(lines[0], EndsWith("C: " + std::string(shown))) << line;
  }
}

TEST_F(TraceHubTest, OfSecretRepliesThereIsTheCode) {
  const uint64_t number = Open();
  hub_.NoteReplies(stream(), "535-5.7.8 no \"foo\"\r\n535 here\r\n", true);
  hub_.NoteReplies(stream(), "334 Zm9v\r\n535 5.7.8 no\r\n", false);
  const std::vector<std::string> lines = Take(number).lines;
  ASSERT_EQ(lines.size(), 4u);
  EXPECT_THAT(lines[0], EndsWith("S: 535-***"));
  EXPECT_THAT(lines[1], EndsWith("S: 535 ***"));
  EXPECT_THAT(lines[2], EndsWith("S: 334 ***"));
  EXPECT_THAT(lines[3], EndsWith("S: 535 5.7.8 no"));
}

TEST_F(TraceHubTest, ASlowReaderLosesLinesAndIsToldSo) {
  const uint64_t number = Open();
  for (size_t i = 0; i < TraceHub::kMaxLines + 5; ++i) {
    hub_.NoteLine(stream(), "NOOP", false);
  }
  const TraceHub::Batch batch = Take(number);
  EXPECT_EQ(batch.lines.size(), TraceHub::kMaxLines);
  EXPECT_EQ(batch.dropped, 5u);
  EXPECT_EQ(Take(number).dropped, 0u);
}

TEST_F(TraceHubTest, ALineIsCut) {
  const uint64_t number = Open();
  hub_.NoteLine(stream(), "NOOP " + std::string(10000, 'x'), false);
  EXPECT_LT(Take(number).lines[0].size(), TraceHub::kMaxLineOctets + 100);
}

TEST_F(TraceHubTest, OnlySoManyListen) {
  for (size_t i = 0; i < TraceHub::kMaxTracers; ++i) Open();
  EXPECT_FALSE(hub_.Open({}, loop_.Now()).ok());
  // Those who have gone make room.
  Wait(TraceHub::kTimeout + 1s);
  Open();
}

TEST_F(TraceHubTest, WhoHasGoneIsForgotten) {
  const uint64_t number = Open();
  Wait(TraceHub::kTimeout - 1s);
  hub_.NoteLine(stream(), "NOOP", false);
  EXPECT_EQ(Take(number).lines.size(), 1u);
  Wait(TraceHub::kTimeout + 1s);
  hub_.NoteLine(stream(), "NOOP", false);
  EXPECT_FALSE(hub_.active());
  EXPECT_FALSE(hub_.Take(number, loop_.Now()).ok());
}

}  // namespace
}  // namespace tlspost
