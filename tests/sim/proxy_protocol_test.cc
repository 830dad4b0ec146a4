// Clients behind a load balancer: whose words about them are believed, and
// that everything sees the client and not the balancer.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""s;

constexpr const char* kBalancer = "10.1.0.1";
const std::string kSignature("\r\n\r\n\0\r\nQUIT\n", 12);

WorldOptions Balanced() {
  WorldOptions options;
  options.settings.upstream_proxy_protocol = UpstreamProxyProtocol::kHaproxy;
  options.settings.haproxy_networks = {"10.1.0.0/24"};
  return options;
}

ClientPlan BehindBalancer(int number, int mails = 1) {
  ClientPlan plan = MakeClient(number, mails);
  plan.balancer = kBalancer;
  return plan;
}

// The header of version 2 about the first client of a world.
std::string V2AboutTheFirstClient() {
  return kSignature + std::string("\x21\x11\x00\x0c", 4) +
         std::string("\xc0\x00\x02\x0a\xcb\x00\x71\x01\x9c\x40\x00\x19", 12);
}

// The ledger compares addresses and ports of XCLIENT and of the Received
// header with the client's own, so a mail that arrives proves them.
TEST(ProxyProtocol, TheHeadersAddressesAreTheClientsHoweverItIsCut) {
  for (const bool v2 : {false, true}) {
    for (const ClientTls tls : {ClientTls::kNone, ClientTls::kTls13}) {
      for (const bool implicit : {false, true}) {
        if (implicit && tls == ClientTls::kNone) continue;
        const auto make = [=] {
          Scene scene;
          scene.options = Balanced();
          scene.options.implicit_tls = implicit;
          scene.clients = {BehindBalancer(0)};
          if (v2) scene.clients[0].proxy_header = V2AboutTheFirstClient();
          scene.clients[0].tls = tls;
          scene.clients[0].implicit_tls = implicit;
          return scene;
        };
        ForEachOctet(
            make, {Wire::kFromClient}, Fault::kCut,
            [](const World& world, Wire) {
              ExpectAllSent(world.client(0));
              EXPECT_FALSE(world.LogHas(kBalancer));
              EXPECT_TRUE(world.LogHas("connect from unknown[192.0.2.10]"));
              EXPECT_EQ(world.counters().proxy_headers, 1);
              EXPECT_EQ(world.counters().sessions, 1);
            },
            /*stride=*/tls == ClientTls::kNone ? 1 : 7);
      }
    }
  }
}

TEST(ProxyProtocol, ManyClientsOfOneBalancerAreManyIdentities) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = Balanced();
    options.seed = number;
    options.settings.backend_max_connections = 1;
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = BehindBalancer(i, 2);
      if (i == 1) plan.address = "2001:db8::7";
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 4; ++i) ExpectAllSent(world.client(i));
  });
}

// What the client sends with the header belongs to its session.
TEST(ProxyProtocol, CommandsInTheSegmentOfTheHeaderAreHeard) {
  World world(Balanced());
  ClientPlan plan = BehindBalancer(0);
  plan.proxy_header =
      "PROXY TCP4 192.0.2.10 203.0.113.1 40000 25\r\nEHLO early.example\r\n";
  plan.before_starttls = {{"", 1}};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_TRUE(world.LogHas("ehlo=2"));
}

TEST(ProxyProtocol, TheBackendHearsTheDestinationOfTheHeader) {
  World world(Balanced());
  ClientPlan plan = BehindBalancer(0);
  plan.proxy_header = "PROXY TCP4 192.0.2.10 198.51.100.9 40000 2525\r\n";
  world.AddClient(std::move(plan));
  static_cast<void>(world.Run());  // the ledger knows the real one only
  const std::string& dialogue = world.backend_dialogue();
  EXPECT_NE(dialogue.find(" DESTADDR=198.51.100.9 DESTPORT=2525 "),
            std::string::npos)
      << dialogue;
}

TEST(ProxyProtocol, LimitsAndPoliciesSeeTheClient) {
  WorldOptions options = Balanced();
  TlsPolicyRule rule;
  rule.clients = {"192.0.2.11"};
  rule.terms = options.settings.terms();
  rule.terms.tls_security_level = TlsSecurityLevel::kEncrypt;
  options.settings.tls_policy = {rule};
  World world(std::move(options));
  for (int i = 0; i < 2; ++i) {
    ClientPlan plan;
    plan.balancer = kBalancer;
    plan.raw = {{"MAIL FROM:<a@example>\r\n", 1}};
    world.AddClient(std::move(plan));
  }
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(world.client(0).replies()[2].starts_with("250"));
  EXPECT_TRUE(world.client(1).replies()[2].starts_with("530 5.7.0"));
}

TEST(ProxyProtocol, E009AMissingOrLateHeaderIsClosedWithoutABanner) {
  const std::string whole = "PROXY TCP4 192.0.2.10 203.0.113.1 40000 25\r\n";
  for (const bool v2 : {false, true}) {
    const std::string header = v2 ? V2AboutTheFirstClient() : whole;
    for (size_t octets = 0; octets < header.size(); ++octets) {
      WorldOptions options = Balanced();
      ConnectionFaults faults;
      faults.to_server.stall_after = octets;
      options.client_faults = [=](int) { return faults; };
      World world(std::move(options));
      ClientPlan plan = BehindBalancer(0, 0);
      plan.proxy_header = header;
      world.AddClient(std::move(plan));
      EXPECT_EQ(world.Run(), "");
      const SimClient& client = world.client(0);
      EXPECT_TRUE(client.replies().empty()) << octets;
      EXPECT_GE(client.ended_after(), 5s);
      EXPECT_LT(client.ended_after(), 6s);
      EXPECT_TRUE(world.LogHas(
          "PROXY protocol: no header within 5s from unknown[10.1.0.1], closed"))
          << world.log();
      EXPECT_FALSE(world.LogHas("connect from"));
      EXPECT_EQ(world.counters().proxy_headers_refused, 1);
      EXPECT_EQ(world.counters().sessions, 0);
    }
  }
}

TEST(ProxyProtocol, E009WhatIsNoHeaderIsClosedAtOnce) {
  const std::pair<std::string, const char*> cases[] = {
      {"EHLO client.example\r\n", "something else than a header"},
      {"\x16\x03\x01\x02", "something else than a header"},
      {"PROXY TCP4 192.0.2.10 203.0.113.1 40000\r\n", "(bad port)"},
      {"PROXY TCP4 192.0.2.1 203.0.113 40000 25\r\n", "(bad address)"},
      {kSignature + std::string("\x31\x11\x00\x00", 4), "(unknown version)"},
  };
  for (const auto& [bytes, words] : cases) {
    World world(Balanced());
    ClientPlan plan = BehindBalancer(0, 0);
    plan.proxy_header = bytes;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_TRUE(world.client(0).replies().empty());
    EXPECT_LT(world.client(0).ended_after(), 1s);
    EXPECT_TRUE(world.LogHas(words)) << world.log();
  }
}

TEST(ProxyProtocol, E010FromAnUntrustedAddressItIsABadCommand) {
  World world(Balanced());
  ClientPlan plan = MakeClient(0);
  plan.address = "10.1.1.1";
  plan.raw = {{"PROXY TCP4 192.0.2.99 203.0.113.1 40000 25\r\n", 1}};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_TRUE(world.client(0).replies()[2].starts_with("502 5.5.1"));
  EXPECT_FALSE(world.LogHas("192.0.2.99"));
  EXPECT_TRUE(world.LogHas("unknown=0/1"));
  EXPECT_EQ(world.counters().proxy_headers, 0);
}

TEST(ProxyProtocol, E010BadHeadersCountAsErrors) {
  WorldOptions options = Balanced();
  options.settings.hard_error_limit = 3;
  World world(std::move(options));
  ClientPlan plan;
  plan.address = "10.1.1.1";
  for (int i = 0; i < 3; ++i) {
    plan.raw.push_back({"PROXY TCP4 192.0.2.99 203.0.113.1 40000 25\r\n", 1});
  }
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(world.client(0).replies().back().starts_with("421 4.7.0"));
}

TEST(ProxyProtocol, E011LocalIsServedAsItselfAndIsNoClient) {
  World world(Balanced());
  ClientPlan plan = MakeClient(0);
  plan.address = kBalancer;
  plan.balancer = kBalancer;
  plan.proxy_header = kSignature + std::string("\x20\x00\x00\x00", 4);
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_TRUE(world.LogHas("connect from unknown[10.1.0.1]"));
  EXPECT_EQ(world.counters().health_checks, 1);
  EXPECT_EQ(world.counters().sessions, 0);
}

TEST(ProxyProtocol, UnknownIsServedAsItselfAndIsAClient) {
  World world(Balanced());
  ClientPlan plan = MakeClient(0);
  plan.address = kBalancer;
  plan.balancer = kBalancer;
  plan.proxy_header = "PROXY UNKNOWN\r\n";
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_EQ(world.counters().sessions, 1);
}

TEST(ProxyProtocol, ABalancerThatIsGoneOrResetLeavesNothing) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd}) {
    const auto make = [] {
      Scene scene;
      scene.options = Balanced();
      scene.clients = {BehindBalancer(0)};
      return scene;
    };
    ForEachOctet(make, {Wire::kFromClient}, fault, [](const World&, Wire) {});
  }
}

TEST(ProxyProtocol, AnAwaitedHeaderDelaysNoDrain) {
  WorldOptions options = Balanced();
  options.settings.upstream_proxy_timeout = Settings::Hours(1);
  ConnectionFaults faults;
  faults.to_server.stall_after = 3;
  options.client_faults = [=](int) { return faults; };
  World world(std::move(options));
  world.AddClient(BehindBalancer(0, 0));
  world.AtTime(1s, [&world] { world.Drain(); });
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 2s);
}

}  // namespace
}  // namespace tlspost::sim
