// What DNS calls a client, in the log, the Received header and XCLIENT; and
// that nobody waits for DNS beyond the limit.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>

#include "tests/sim/faults.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using io::NameFound;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

SimName Confirmed(const std::string& name, io::Duration delay = {}) {
  return {{name, NameFound::kYes, name, NameFound::kYes}, delay};
}

// The ledger compares what XCLIENT and the header say with the plan.
ClientPlan Called(int number, const std::string& name,
                  const std::string& reverse_name, int mails = 1) {
  ClientPlan plan = MakeClient(number, mails);
  plan.name = name;
  plan.reverse_name = reverse_name;
  return plan;
}

TEST(ClientNames, AConfirmedNameIsSaidEverywhere) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.names["192.0.2.10"] = Confirmed("mail.example.org", 30ms);
    World world(std::move(options));
    ClientPlan plan = Called(0, "mail.example.org", "mail.example.org", 2);
    plan.tls = number % 2 == 0 ? ClientTls::kNone : ClientTls::kTls13;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_TRUE(world.LogHas("connect from mail.example.org[192.0.2.10]"));
    EXPECT_TRUE(world.LogHas("client=mail.example.org[192.0.2.10]"));
    EXPECT_FALSE(world.LogHas("unknown["));
    EXPECT_EQ(world.counters().client_names_found, 1);
  });
}

TEST(ClientNames, AnUnconfirmedNameIsTheReverseNameOnly) {
  WorldOptions options;
  options.names["192.0.2.10"] = {
      {"", NameFound::kNo, "liar.example", NameFound::kYes}};
  World world(std::move(options));
  world.AddClient(Called(0, "", "liar.example"));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_TRUE(world.LogHas("connect from unknown[192.0.2.10]"));
}

TEST(ClientNames, TroubleWithDnsIsSaidToBeTemporary) {
  WorldOptions options;
  options.names["192.0.2.10"] = {
      {"", NameFound::kLater, "", NameFound::kLater}};
  options.names["192.0.2.11"] = {
      {"", NameFound::kLater, "rev.example", NameFound::kYes}};
  options.names["192.0.2.12"] = {{"", NameFound::kNo, "", NameFound::kNo}};
  World world(std::move(options));
  world.AddClient(Called(0, "[TEMPUNAVAIL]", "[TEMPUNAVAIL]"));
  world.AddClient(Called(1, "[TEMPUNAVAIL]", "rev.example"));
  world.AddClient(Called(2, "", ""));
  EXPECT_EQ(world.Run(), "");
  for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
}

TEST(ClientNames, TheGreetingWaitsNoLongerThanTheLimit) {
  WorldOptions options;
  options.settings.client_name_timeout = Settings::Milliseconds(500);
  options.names["192.0.2.10"] = Confirmed("slow.example", 20s);
  World world(std::move(options));
  world.AddClient(Called(0, "[TEMPUNAVAIL]", "[TEMPUNAVAIL]"));
  // The answer is kept for those who come later.
  ClientPlan later = Called(1, "slow.example", "slow.example");
  later.address = "192.0.2.10";
  later.start_after = 30s;
  world.AddClient(std::move(later));
  EXPECT_EQ(world.Run(), "");
  for (int i = 0; i < 2; ++i) ExpectAllSent(world.client(i));
  EXPECT_GE(world.client(0).ended_after(), 500ms);
  EXPECT_LT(world.client(0).ended_after(), 1s);
  EXPECT_LT(world.client(1).ended_after(), 31s);
  EXPECT_EQ(world.counters().client_names_late, 1);
}

TEST(ClientNames, BehindABalancerItIsTheClientsName) {
  WorldOptions options;
  options.settings.upstream_proxy_protocol = UpstreamProxyProtocol::kHaproxy;
  options.settings.haproxy_networks = {"10.1.0.1"};
  options.names["10.1.0.1"] = Confirmed("balancer.example");
  options.names["192.0.2.10"] = Confirmed("mail.example.org");
  World world(std::move(options));
  ClientPlan plan = Called(0, "mail.example.org", "mail.example.org");
  plan.balancer = "10.1.0.1";
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_FALSE(world.LogHas("balancer.example"));
}

TEST(ClientNames, NotWhereItIsSwitchedOff) {
  WorldOptions options;
  options.settings.peername_lookup = false;
  options.names["192.0.2.10"] = Confirmed("mail.example.org");
  World world(std::move(options));
  world.AddClient(Called(0, "", ""));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

TEST(ClientNames, TheQuestionIsAskedDuringTheGreetDelay) {
  WorldOptions options;
  options.settings.greet_wait = Settings::Seconds(6);
  options.names["192.0.2.10"] = Confirmed("mail.example.org", 1s);
  World world(std::move(options));
  world.AddClient(Called(0, "mail.example.org", "mail.example.org"));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_LT(world.client(0).ended_after(), 7s);
}

TEST(ClientNames, E001WhoSpeaksWhileDnsIsAskedMaySayHelloOnly) {
  const std::pair<const char*, const char*> cases[] = {
      {"EHLO a.example\r\n", "220"},
      {"EHLO a.example\r\nMAIL FROM:<a@example>\r\n", "554 5.5.0"}};
  for (const auto& [words, answer] : cases) {
    WorldOptions options;
    options.names["192.0.2.10"] = Confirmed("mail.example.org", 1s);
    World world(std::move(options));
    ClientPlan plan;
    plan.speaks_first = true;
    plan.says_hello = plan.says_quit = false;
    plan.raw = {{words, 1}};
    world.AddClient(std::move(plan));
    static_cast<void>(world.Run());  // a reply more than the plan awaits
    ASSERT_FALSE(world.client(0).replies().empty());
    EXPECT_TRUE(world.client(0).replies()[0].starts_with(answer));
  }
}

TEST(ClientNames, WaitingForDnsDelaysNoDrain) {
  WorldOptions options;
  options.settings.client_name_timeout = Settings::Seconds(30);
  options.names["192.0.2.10"] = Confirmed("slow.example", 40s);
  World world(std::move(options));
  ClientPlan plan;
  plan.says_hello = false;
  world.AddClient(std::move(plan));
  world.AtTime(1s, [&world] { world.Drain(); });
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 2s);
}

}  // namespace
}  // namespace tlspost::sim
