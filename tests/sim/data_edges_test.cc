// The edge cases of the message behind DATA, one by one (numbers 72 to 89 of
// the protocol notes). The enumerations are in session_test and message_test.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/replay.h"
#include "tests/sim/talk.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""s;
using std::string_literals::operator""s;
using Misdeed = SinkMta::Misdeed;

// A client with one mail of that body.
ClientPlan Sends(std::string body) {
  ClientPlan plan = MakeClient(0, 1);
  plan.mails[0].body = std::move(body);
  return plan;
}

// The octets that this client has sent with the end of its message.
uint64_t UpToTheEnd(std::string_view body) {
  constexpr std::string_view kBefore =
      "EHLO c0.example\r\nMAIL FROM:<m0@c0.example>\r\n"
      "RCPT TO:<r0.0@c0.example>\r\nDATA\r\n";
  return kBefore.size() + body.size() + 3;
}

// The ledger compares what the backend got with what was sent.
TEST(Data, E072StuffedDotsPassAsTheyAre) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    ConnectionFaults faults;
    faults.to_server.random_cuts = true;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    world.AddClient(Sends("..\r\n...\r\n..x\r\n\r\n..\r\n"));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
  });
}

TEST(Data, E076LongLinesAndFoldedHeadersAreNotChanged) {
  World world({});
  world.AddClient(
      Sends("Subject: a\r\n\tb\r\n  c\r\nX-Long: " + std::string(5000, 'h') +
            "\r\n\r\n" + std::string(70'000, 'x') + "\r\n"));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

TEST(Data, E077NulBecomesASpace) {
  World world({});
  ClientPlan plan = Sends("Subject: x\r\n\r\na\0b\r\n\0\0\r\n"s);
  plan.mails[0].delivered = "Subject: x\r\n\r\na b\r\n  \r\n";
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

TEST(Data, E080WhoHalfClosesBehindTheDotHearsTheReply) {
  ForEachWorld(20, [](uint64_t number) {
    const std::string body = "Subject: x\r\n\r\ny\r\n";
    WorldOptions options;
    options.seed = number;
    options.mischief = At(".", Delays(2s));
    World world(std::move(options));
    ClientPlan plan = Sends(body);
    plan.says_quit = false;
    plan.behind_dot = "N";
    plan.stop_after = UpToTheEnd(body);
    plan.stop = Stop::kHalfClose;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).octets_sent(), UpToTheEnd(body));
    EXPECT_EQ(world.client(0).results()[0].final_code, 250);
    EXPECT_EQ(world.ledger().accepted().size(), 1u);
  });
}

TEST(Data, E083ABackendLostBehindTheDotIsAnUnknownOutcome) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    Misdeed closes;
    closes.close = true;
    options.mischief = At(".", closes);
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    EXPECT_EQ(world.Run(), "");
    EXPECT_TRUE(
        world.client(0).results()[0].final_text.starts_with("451 4.4.2 "));
    EXPECT_TRUE(world.LogHas("status=unknown"));
    EXPECT_EQ(world.counters().outcomes_unknown, 1);
    // No retry.
    const std::string& said = world.backend_dialogue();
    EXPECT_EQ(said.find("MAIL FROM"), said.rfind("MAIL FROM"));
  });
}

TEST(Data, E084NineMinutesForTheEndAreGranted) {
  WorldOptions options;
  options.mischief = At(".", Delays(9min));
  World world(std::move(options));
  world.AddClient(MakeClient(0, 1));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

TEST(Data, E085AMessageWhoseClientHasGoneIsDeliveredAndLogged) {
  ForEachWorld(20, [](uint64_t number) {
    const std::string body = "Subject: x\r\n\r\ny\r\n";
    WorldOptions options;
    options.seed = number;
    options.mischief = At(".", Delays(5s));
    World world(std::move(options));
    ClientPlan plan = Sends(body);
    plan.says_quit = false;
    plan.behind_dot = "N";
    plan.stop_after = UpToTheEnd(body);
    plan.stop = Stop::kVanish;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 0);
    EXPECT_EQ(world.ledger().accepted().size(), 1u);
    EXPECT_TRUE(world.LogHas("status=sent (250 2.0.0 Ok: queued as"));
  });
}

TEST(Data, E086OurHeaderWaitsForA354ThatIsLate) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.mischief = At("DATA", Delays(60s));
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_GE(world.client(0).ended_after(), 60s);
  });
}

TEST(Data, E087WhoReadsNoRepliesIsLeft) {
  ForEachWorld(4, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.command_timeout = Settings::Seconds(60);
    options.settings.junk_command_limit = 1'000'000;
    options.settings.hard_error_limit = 1'000'000;
    options.settings.max_connections = 1;
    options.clients_may_hang = true;
    ConnectionFaults faults;
    faults.to_client.stall_after = 0;
    faults.to_client.capacity = 1000;
    options.client_faults = [=](int client) {
      return client == 0 ? faults : ConnectionFaults();
    };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.speaks_first = true;
    plan.says_hello = false;
    std::string flood;
    for (int i = 0; i < 50'000; ++i) flood += "NOOP\r\n";
    plan.raw = {{std::move(flood), 0}};
    plan.stays = 1800s;
    plan.says_quit = false;
    world.AddClient(std::move(plan));
    // It has the only place, until it is left.
    ClientPlan other = MakeClient(1, 1);
    other.start_after = 150s;
    world.AddClient(std::move(other));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
  });
}

TEST(Data, E089AMessageWithoutAHeaderGetsOurs) {
  World world({});
  world.AddClient(Sends("\r\nno header\r\n"));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

}  // namespace
}  // namespace tlspost::sim
