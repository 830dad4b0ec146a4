// What one client may do over all its connections and all workers.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/plans.h"
#include "tests/sim/sim_tls.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""s;

constexpr char kAttacker[] = "198.51.100.7";

// --- one client over all its sessions ---------------------------------------

// Edge 114: a thousand connections that say nothing.
TEST(ClientRates, E114AFloodOfConnectionsLeavesRoomForOthers) {
  WorldOptions options;
  options.settings.max_connections = 200;
  World world(std::move(options));
  constexpr int kFlood = 1000;
  for (int i = 0; i < kFlood; ++i) {
    ClientPlan plan;
    plan.address = kAttacker;
    plan.says_hello = false;
    plan.says_quit = false;
    plan.stays = 60s;
    world.AddClient(std::move(plan));
  }
  ClientPlan other = MakeClient(kFlood, 1);
  other.address = "192.0.2.1";
  other.start_after = 1s;
  world.AddClient(std::move(other));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(kFlood));
  int greeted = 0;
  int told = 0;
  for (size_t i = 0; i < kFlood; ++i) {
    greeted += CountReplies(world.client(i), "220 ");
    told += CountReplies(
        world.client(i),
        "421 4.7.0 mx.example Error: too many connections from 198.51.100.7");
  }
  EXPECT_EQ(greeted, 50);
  EXPECT_GE(told, static_cast<int>(Worker::kMaxTurnedAway));
  EXPECT_EQ(world.counters().clients_refused, kFlood - 50);
  EXPECT_TRUE(
      world.LogHas("warning: Connection concurrency limit exceeded: 51 "
                   "from unknown[198.51.100.7] for service smtp"));
}

TEST(ClientRates, ConnectionsPerMinuteOverAllWorkers) {
  WorldOptions options;
  options.workers = 2;
  options.settings.client_connection_rate_limit = 4;
  World world(std::move(options));
  for (int i = 0; i < 8; ++i) {
    ClientPlan plan;
    plan.address = kAttacker;
    plan.worker = i % 2;
    plan.start_after = i * 1s;
    world.AddClient(std::move(plan));
  }
  ClientPlan later;
  later.address = kAttacker;
  later.start_after = 61s;
  world.AddClient(std::move(later));
  EXPECT_EQ(world.Run(), "");
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_TRUE(
        world.client(i).replies()[0].starts_with(i < 4 ? "220 " : "421 4.7.0 "))
        << i;
  }
  EXPECT_TRUE(world.client(8).replies()[0].starts_with("220 "));
  EXPECT_TRUE(
      world.LogHas("warning: Connection rate limit exceeded: 5 from "
                   "unknown[198.51.100.7] for service smtp"));
}

TEST(ClientRates, MessagesPerMinute) {
  WorldOptions options;
  options.settings.client_message_rate_limit = 3;
  World world(std::move(options));
  for (int i = 0; i < 2; ++i) {
    ClientPlan plan = MakeClient(i, 2);
    plan.pipelining = false;
    plan.address = kAttacker;
    plan.start_after = i * 5s;
    world.AddClient(std::move(plan));
  }
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  EXPECT_EQ(world.client(1).results()[0].final_code, 250);
  EXPECT_EQ(world.client(1).results()[1].mail, 450);
  EXPECT_EQ(CountReplies(world.client(1),
                         "450 4.7.1 Error: too much mail from 198.51.100.7"),
            1);
  EXPECT_TRUE(
      world.LogHas("warning: Message delivery request rate limit exceeded: 4 "
                   "from unknown[198.51.100.7] for service smtp"));
  EXPECT_EQ(world.counters().leases, 3);
  EXPECT_EQ(world.counters().rate_refusals, 1);
}

TEST(ClientRates, RecipientsPerMinute) {
  WorldOptions options;
  options.settings.client_recipient_rate_limit = 5;
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 0);
  plan.mails = {MakeMail(0, 0, /*recipients=*/8)};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ASSERT_EQ(world.ledger().accepted().size(), 1u);
  EXPECT_EQ(world.ledger().accepted()[0].recipients.size(), 5u);
  EXPECT_EQ(
      CountReplies(world.client(0),
                   "450 4.7.1 Error: too many recipients from 192.0.2.10"),
      3);
  EXPECT_TRUE(
      world.LogHas("warning: Recipient address rate limit exceeded: 6 "
                   "from unknown[192.0.2.10] for service smtp"));
}

TEST(ClientRates, AuthCommandsPerMinute) {
  WorldOptions options;
  options.settings.client_auth_rate_limit = 1;
  options.sink.auth = "PLAIN";
  World world(std::move(options));
  // The sink's list is known from the first client's mail on.
  world.AddClient(MakeClient(0, 1));
  ClientPlan plan = MakeClient(1, 0);
  plan.tls = ClientTls::kTls13;
  plan.start_after = 1s;
  plan.auths = {{"PLAIN", "who", "wrong", true},
                {"PLAIN", "who", "else", true}};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(world.client(1).auth_codes(), (std::vector<int>{535, 450}));
  EXPECT_TRUE(
      world.LogHas("warning: AUTH command rate limit exceeded: 2 from "
                   "unknown[192.0.2.11] for service smtp"));
}

// Edge 115: what is counted are full handshakes; the backend sees none of it.
TEST(ClientRates, E115NewTlsSessionsPerMinute) {
  SetResumption(false);
  for (const bool implicit : {false, true}) {
    WorldOptions options;
    options.implicit_tls = implicit;
    options.settings.client_new_tls_session_rate_limit = 2;
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan;
      plan.address = kAttacker;
      plan.tls = i % 2 == 0 ? ClientTls::kTls13 : ClientTls::kTls12;
      plan.implicit_tls = implicit;
      plan.start_after = i * 1s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    int refused = 0;
    int in_tls = 0;
    for (size_t i = 0; i < 4; ++i) {
      refused += CountReplies(world.client(i),
                              "454 4.7.0 Error: too many new TLS sessions from "
                              "unknown[198.51.100.7]");
      in_tls += world.client(i).in_tls() ? 1 : 0;
    }
    EXPECT_EQ(world.counters().handshakes, 2);
    EXPECT_EQ(in_tls, 2);
    EXPECT_EQ(refused, implicit ? 0 : 2);
    EXPECT_EQ(world.counters().leases, 0);
    EXPECT_TRUE(
        world.LogHas("warning: Refusing STARTTLS request from "
                     "unknown[198.51.100.7] for service smtp"));
  }
  SetResumption(true);
}

TEST(ClientRates, E115ResumedSessionsAreNotCounted) {
  WorldOptions options;
  options.settings.client_new_tls_session_rate_limit = 1;
  World world(std::move(options));
  for (int i = 0; i < 4; ++i) {
    ClientPlan plan = MakeClient(i, 1);
    plan.address = kAttacker;
    plan.tls = ClientTls::kTls13;
    plan.start_after = i * 1s;
    world.AddClient(std::move(plan));
  }
  EXPECT_EQ(world.Run(), "");
  for (size_t i = 0; i < 4; ++i) ExpectAllSent(world.client(i));
}

// Edge 116: an address harvester, in one session after the other.
TEST(ClientRates, E116AHarvesterIsStoppedHereAndTheBackendLeftAlone) {
  WorldOptions options;
  options.settings.client_error_rate_limit = 30;
  options.mischief =
      [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
    if (event.verb != "RCPT") return std::nullopt;
    if (event.line.find("@c9") != std::string_view::npos) return std::nullopt;
    return SinkMta::Misdeed{.reply = "550 5.1.1 Unknown user\r\n"};
  };
  World world(std::move(options));
  for (int i = 0; i < 8; ++i) {
    ClientPlan plan = Saying({"MAIL FROM:<a@b>"});
    for (int n = 0; n < 18; ++n) plan.raw.push_back({"RCPT TO:<x@y>\r\n", 1});
    plan.address = kAttacker;
    plan.start_after = i * 3s;
    world.AddClient(std::move(plan));
  }
  ClientPlan other = MakeClient(9, 1);
  other.start_after = 30s;
  world.AddClient(std::move(other));
  ClientPlan later;
  later.address = kAttacker;
  later.start_after = 70s;
  world.AddClient(std::move(later));
  EXPECT_EQ(world.Run(), "");
  // Sessions that were under way may each ask once more.
  EXPECT_LE(CountWords(world.backend_dialogue(), "RCPT TO:<x@y>"), 34);
  EXPECT_EQ(
      world.client(7).replies()[0],
      "421 4.7.0 mx.example Error: too many errors from 198.51.100.7\r\n");
  EXPECT_TRUE(world.LogHas("warning: Error rate limit exceeded: 3"));
  ExpectAllSent(world.client(8));
  EXPECT_TRUE(world.client(9).replies()[0].starts_with("220 "));
}

}  // namespace
}  // namespace tlspost::sim
