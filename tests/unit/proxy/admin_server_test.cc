// AdminServer's bounds, in the simulated world: whatever a peer does, it gets
// its reply or its end, in time, and others are served.

#include "proxy/admin_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/sim_loop.h"

namespace tlspost {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using ::testing::StartsWith;

const std::string kRequest = "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";

// What became of one connection.
struct Peer {
  std::unique_ptr<io::Stream> stream;
  std::string heard;
  bool ended = false;  // the server closed, in whatever way
  io::Time ended_at{};
};

class AdminServerTest : public ::testing::Test {
 public:
  AdminServerTest()
      : server_(loop_,
                [this](std::string_view head) {
                  heads_.emplace_back(head);
                  return reply_;
                }),
        tasks_(loop_) {
    EXPECT_TRUE(server_.Listen({endpoint_}).ok());
    server_.Start();
  }
  ~AdminServerTest() override {
    server_.Stop();
    Pass(10s);
    EXPECT_EQ(tasks_.size(), 0u);
    peers_.clear();
    EXPECT_EQ(loop_.open_streams(), 0);
    EXPECT_EQ(loop_.blocks().blocks_out(), 0);
  }

 protected:
  // Connects and hears whatever comes.
  Peer& NewPeer() {
    Peer& peer = *peers_.emplace_back(std::make_unique<Peer>());
    tasks_.Spawn(Connect(peer));
    Pass(0ms);
    return peer;
  }
  void Say(Peer& peer, std::string text) {
    tasks_.Spawn(Write(peer, std::move(text)));
    Pass(0ms);
  }
  void Pass(io::Duration time) {
    // The clock moves only to where something happens.
    bool passed = false;
    if (time > 0ms) tasks_.Spawn(Sleep(loop_.Now() + time, passed));
    loop_.RunUntil([&passed] { return passed; }, time > 0ms ? time + 1s : 0ms);
  }
  // Says `text` one octet at a time, so far apart.
  void Trickle(Peer& peer, const std::string& text, io::Duration pause) {
    for (const char c : text) {
      if (peer.ended) return;
      Say(peer, std::string(1, c));
      Pass(pause);
    }
  }

  sim::SimLoop loop_{1};
  const io::Endpoint endpoint_ = *io::Endpoint::FromIp("127.0.0.1", 9925);
  std::string reply_ = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  std::vector<std::string> heads_;
  AdminServer server_;
  io::TaskGroup tasks_;
  std::vector<std::unique_ptr<Peer>> peers_;

 private:
  Task<void> Connect(Peer& peer) {
    io::ConnectOp connect(loop_, endpoint_, io::kNever);
    auto connected = co_await connect;
    EXPECT_TRUE(connected.ok()) << connected.status();
    peer.stream = *std::move(connected);
    bool more = true;
    while (more) {
      const auto chunk = co_await peer.stream->Read(io::kNever);
      more = chunk.ok() && !chunk->empty();
      if (more) peer.heard.append(chunk->view());
    }
    peer.ended = true;
    peer.ended_at = loop_.Now();
    peer.stream->Close();
  }
  Task<void> Sleep(io::Time until, bool& passed) {
    co_await io::SleepOp(loop_, until);
    passed = true;
  }
  Task<void> Write(Peer& peer, std::string text) {
    const absl::Status written = co_await peer.stream->Write(text, io::kNever);
    static_cast<void>(written);  // the server may have closed
  }
};

TEST_F(AdminServerTest, OneRequestIsAnsweredAndTheConnectionEnds) {
  Peer& peer = NewPeer();
  Say(peer, kRequest);
  Pass(1ms);
  EXPECT_EQ(peer.heard, reply_);
  EXPECT_TRUE(peer.ended);
  EXPECT_THAT(heads_, ::testing::ElementsAre(kRequest));
}

TEST_F(AdminServerTest, WhateverWayTheHeadIsCut) {
  for (size_t cut = 1; cut < kRequest.size(); ++cut) {
    Peer& peer = NewPeer();
    Say(peer, kRequest.substr(0, cut));
    Say(peer, kRequest.substr(cut));
    Pass(1ms);
    ASSERT_EQ(peer.heard, reply_) << cut;
    ASSERT_EQ(heads_.back(), kRequest) << cut;
  }
}

TEST_F(AdminServerTest, WhatComesBehindTheHeadIsNotRead) {
  Peer& peer = NewPeer();
  Say(peer, kRequest + kRequest + "more");
  Pass(1ms);
  EXPECT_EQ(peer.heard, reply_);
  EXPECT_THAT(heads_, ::testing::ElementsAre(kRequest));
}

TEST_F(AdminServerTest, ASilentPeerIsClosedInTime) {
  const io::Time begin = loop_.Now();
  Peer& peer = NewPeer();
  Pass(AdminServer::kConnectionTime + 1s);
  ASSERT_TRUE(peer.ended);
  EXPECT_EQ(peer.heard, "");
  EXPECT_LE(peer.ended_at - begin, AdminServer::kConnectionTime + 100ms);
}

// Each octet in time, all of them together not.
TEST_F(AdminServerTest, ASlowPeerHasNoMoreTimeThanASilentOne) {
  const io::Time begin = loop_.Now();
  Peer& peer = NewPeer();
  Trickle(peer, std::string(1000, 'x'), 100ms);
  ASSERT_TRUE(peer.ended);
  EXPECT_LE(peer.ended_at - begin, AdminServer::kConnectionTime + 200ms);
  EXPECT_TRUE(heads_.empty());
}

TEST_F(AdminServerTest, APeerThatDoesNotTakeItsReplyIsClosedInTime) {
  reply_.append(1'000'000, 'x');
  sim::ConnectionFaults faults;
  faults.to_client.stall_after = 10;
  loop_.set_fault_plan([faults](const io::Endpoint&, int) { return faults; });
  Peer& peer = NewPeer();
  Say(peer, kRequest);
  Pass(AdminServer::kConnectionTime + 1s);
  EXPECT_LE(peer.heard.size(), 10u);
  EXPECT_EQ(loop_.open_streams(), 1) << "the server's end is gone";
  peer.stream->Close();
  Pass(1ms);
}

TEST_F(AdminServerTest, AHeadThatIsTooLargeIsSaidToBe) {
  Peer& peer = NewPeer();
  Say(peer,
      "GET / HTTP/1.1\r\nx: " + std::string(AdminServer::kMaxHeadOctets, 'x'));
  Pass(1ms);
  EXPECT_THAT(peer.heard, StartsWith("HTTP/1.1 431 "));
  EXPECT_TRUE(peer.ended);
  EXPECT_TRUE(heads_.empty());
}

TEST_F(AdminServerTest, TheLargestHeadIsRead) {
  std::string head = "GET / HTTP/1.1\r\nx: ";
  head.append(AdminServer::kMaxHeadOctets - head.size() - 4, 'x');
  head += "\r\n\r\n";
  ASSERT_EQ(head.size(), AdminServer::kMaxHeadOctets);
  Peer& peer = NewPeer();
  Say(peer, head);
  Pass(1ms);
  EXPECT_EQ(peer.heard, reply_);
}

TEST_F(AdminServerTest, TooManyAreClosedAndTheOthersServed) {
  std::vector<Peer*> first;
  for (size_t i = 0; i < AdminServer::kMaxConnections; ++i) {
    first.push_back(&NewPeer());
  }
  for (int i = 0; i < 100; ++i) {
    Peer& more = NewPeer();
    Pass(1ms);
    ASSERT_TRUE(more.ended);
    ASSERT_EQ(more.heard, "");
  }
  for (Peer* peer : first) {
    ASSERT_FALSE(peer->ended);
    Say(*peer, kRequest);
  }
  Pass(1ms);
  for (Peer* peer : first) EXPECT_EQ(peer->heard, reply_);
  // Their places are free again.
  Peer& later = NewPeer();
  Say(later, kRequest);
  Pass(1ms);
  EXPECT_EQ(later.heard, reply_);
}

TEST_F(AdminServerTest, StopEndsWhatIsUnderWayAtOnce) {
  Peer& silent = NewPeer();
  Peer& half = NewPeer();
  Say(half, "GET /");
  server_.Stop();
  loop_.Run();  // until the server says that it has ended
  Pass(1ms);
  EXPECT_TRUE(silent.ended);
  EXPECT_TRUE(half.ended);
}

// Between requests it does something now and then, until it is stopped.
TEST(AdminServerTick, ComesEveryInterval) {
  sim::SimLoop loop(/*seed=*/1);
  AdminServer server(loop, [](std::string_view) { return std::string(); });
  EXPECT_TRUE(server.Listen({*io::Endpoint::FromIp("127.0.0.1", 9925)}).ok());
  int ticks = 0;
  std::vector<io::Time> times;
  server.CallEvery(10s, [&] {
    times.push_back(loop.Now());
    if (++ticks == 3) server.Stop();
  });
  server.Start();
  const io::Time began = loop.Now();
  loop.Run();
  ASSERT_EQ(ticks, 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_GE(times[static_cast<size_t>(i)] - began, 10s * (i + 1));
    EXPECT_LT(times[static_cast<size_t>(i)] - began, 10s * (i + 1) + 1s);
  }
}

}  // namespace
}  // namespace tlspost
