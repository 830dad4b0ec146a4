// Who speaks before it is greeted.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr const char* kRefusal = "554 5.5.0 Error: SMTP protocol";

WorldOptions Delayed() {
  WorldOptions options;
  options.settings.greet_wait = Settings::Seconds(6);
  return options;
}

ClientPlan EarlyTalker(std::string words, int replies) {
  ClientPlan plan;
  plan.speaks_first = true;
  plan.says_hello = false;
  plan.says_quit = false;
  plan.raw = {{std::move(words), replies}};
  return plan;
}

TEST(EarlyTalker, AwaitedInSilenceItComesAfterTheDelay) {
  World world(Delayed());
  world.AddClient(MakeClient(0));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_GE(world.client(0).ended_after(), 6s);
  EXPECT_EQ(world.counters().early_talkers, 0);
}

TEST(EarlyTalker, E001WithADelayEverybodyWhoSpeaksIsRefused) {
  for (const char* words :
       {"EHLO a.example\r\n", "E", "MAIL FROM:<a@example>\r\n", "GET / \r\n"}) {
    World world(Delayed());
    world.AddClient(EarlyTalker(words, 1));
    EXPECT_EQ(world.Run(), "");
    const auto& replies = world.client(0).replies();
    ASSERT_EQ(replies.size(), 1u);
    EXPECT_TRUE(replies[0].starts_with(kRefusal)) << replies[0];
    EXPECT_LT(world.client(0).ended_after(), 5s);
    EXPECT_EQ(world.counters().early_talkers, 1);
    EXPECT_EQ(world.counters().sessions, 0);
    EXPECT_TRUE(world.LogHas("octets before the greeting from unknown["));
  }
}

TEST(EarlyTalker, ExceptionsAreGreetedAtOnce) {
  WorldOptions options = Delayed();
  options.settings.client_event_limit_exceptions = {"192.0.2.0/24"};
  World world(std::move(options));
  world.AddClient(MakeClient(0));
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 1s);
}

TEST(EarlyTalker, NoDelayWhereTlsComesFirst) {
  WorldOptions options = Delayed();
  options.implicit_tls = true;
  World world(std::move(options));
  ClientPlan plan = MakeClient(0);
  plan.tls = ClientTls::kTls13;
  plan.implicit_tls = true;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_LT(world.client(0).ended_after(), 2s);
}

// Behind a load balancer the header and the early words share a segment, so
// that it is certain what came first.
TEST(EarlyTalker, E001WithoutADelayOnlyAHelloMayComeFirst) {
  const std::string header = "PROXY TCP4 192.0.2.10 203.0.113.1 40000 25\r\n";
  const std::pair<const char*, const char*> cases[] = {
      {"EHLO a.example\r\n", "220"},
      {"HELO a.example\r\n", "220"},
      {"EHLO a.example\r\nMAIL FROM:<a@example>\r\n", kRefusal},
      {"HELO a.example\nX", kRefusal},
      {"MAIL FROM:<a@example>\r\n", kRefusal},
      {"QUIT\r\n", kRefusal},
      // These have answers of their own.
      {"GET / HTTP/1.1\r\n", "220"},
      {"XYZ\r\n", "220"},
  };
  for (const auto& [words, answer] : cases) {
    WorldOptions options;
    options.settings.upstream_proxy_protocol = UpstreamProxyProtocol::kHaproxy;
    options.settings.haproxy_networks = {"10.1.0.1"};
    World world(std::move(options));
    ClientPlan plan = EarlyTalker("", 1);
    plan.balancer = "10.1.0.1";
    plan.proxy_header = header + words;
    plan.says_quit = false;
    world.AddClient(std::move(plan));
    static_cast<void>(world.Run());  // the ledger counts replies to the header
    ASSERT_FALSE(world.client(0).replies().empty()) << words;
    EXPECT_TRUE(world.client(0).replies()[0].starts_with(answer)) << words;
    EXPECT_EQ(world.counters().early_talkers, answer == kRefusal ? 1 : 0);
  }
}

// While DNS is asked there is time to say more, in several segments: all of it
// came before the greeting.
TEST(EarlyTalker, E001AllThatIsSaidBeforeTheGreetingCounts) {
  struct Case {
    std::vector<std::string> segments;
    bool may_speak;
  };
  const Case cases[] = {
      {{"EHLO a.example\r\n"}, true},
      {{"EH", "LO a.exam", "ple\r", "\n"}, true},
      {{"EHLO a.exam"}, true},
      {{"EHLO a.example\r\n", "MAIL FROM:<a@example>\r\n"}, false},
      {{"EHLO a.exam", "ple\r\nMAIL FROM:<a@example>\r\n"}, false},
      {{"E", "HLO a.example\r\n", "X"}, false},
      {{"MAIL FROM:<a@", "example>"}, false},
      {{"\r\n", "MAIL FROM:<a@example>\r\n"}, false},
      {{"EHLO " + std::string(4000, 'a'), "\r\nMAIL FROM:<a@b>\r\n"}, false},
  };
  for (const Case& each : cases) {
    WorldOptions options;
    options.names["192.0.2.10"] = {{}, /*delay=*/2s};
    World world(std::move(options));
    ClientPlan plan = EarlyTalker("", 0);
    plan.raw.clear();
    for (const std::string& segment : each.segments) {
      plan.raw.push_back({segment, 0});
    }
    plan.raw.back().replies = 1;
    plan.pause = 100ms;
    plan.lawless = true;
    world.AddClient(std::move(plan));
    static_cast<void>(world.Run());  // it hears more than it awaits
    const auto& replies = world.client(0).replies();
    ASSERT_FALSE(replies.empty()) << each.segments[0];
    EXPECT_TRUE(replies[0].starts_with(each.may_speak ? "220" : kRefusal))
        << each.segments[0] << replies[0];
    EXPECT_EQ(world.counters().early_talkers, each.may_speak ? 0 : 1);
  }
}

TEST(EarlyTalker, AHealthCheckIsNotDelayed) {
  WorldOptions options = Delayed();
  options.settings.upstream_proxy_protocol = UpstreamProxyProtocol::kHaproxy;
  options.settings.haproxy_networks = {"10.1.0.1"};
  World world(std::move(options));
  ClientPlan plan;
  plan.balancer = "10.1.0.1";
  plan.proxy_header = std::string("\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00", 16);
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 1s);
}

TEST(EarlyTalker, ADelayDelaysNoDrain) {
  World world(Delayed());
  ClientPlan plan;
  plan.says_hello = false;
  world.AddClient(std::move(plan));
  world.AtTime(1s, [&world] { world.Drain(); });
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 2s);
}

TEST(EarlyTalker, WhoLeavesMeanwhileLeavesNothing) {
  const auto make = [] {
    Scene scene;
    scene.options = Delayed();
    scene.clients = {MakeClient(0)};
    return scene;
  };
  for (const Fault fault : {Fault::kReset, Fault::kEnd}) {
    ForEachOctet(
        make, {Wire::kFromClient}, fault, [](const World&, Wire) {},
        /*stride=*/11);
  }
}

}  // namespace
}  // namespace tlspost::sim
