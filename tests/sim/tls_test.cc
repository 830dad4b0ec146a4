// TLS from the first octet, and TLS to the backend: however the bytes are cut
// or lost, and when one side does not keep to the rules.

#include <gtest/gtest.h>

#include <algorithm>
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

Scene ImplicitTls(ClientTls tls) {
  Scene scene;
  scene.options.implicit_tls = true;
  ClientPlan plan = MakeClient(0, 2);
  plan.tls = tls;
  plan.implicit_tls = true;
  plan.start_after = 1s;
  scene.clients.push_back(std::move(plan));
  return scene;
}

Scene BackendTls() {
  Scene scene;
  scene.options.backend_tls = true;
  scene.options.settings.backend_connect_timeout = Settings::Seconds(10);
  scene.options.settings.backend_timeout = Settings::Seconds(30);
  scene.options.settings.backend_data_done_timeout = Settings::Seconds(60);
  ClientPlan plan = MakeClient(0, 2);
  plan.start_after = 1s;
  scene.clients.push_back(std::move(plan));
  ClientPlan later = MakeClient(1, 1);
  later.start_after = 300s;
  scene.clients.push_back(std::move(later));
  return scene;
}

void ExpectFirstSent(const World& world, Wire /*wire*/) {
  ExpectAllSent(world.client(0));
}

void ExpectAllUnderTls(const World& world) {
  for (const auto& message : world.ledger().accepted()) {
    EXPECT_TRUE(message.tls);
  }
}

// --- clients that begin with TLS --------------------------------------------

TEST(ImplicitTls, DeliversHoweverTheCiphertextIsCut) {
  for (const ClientTls tls : {ClientTls::kTls12, ClientTls::kTls13}) {
    ForEachOctet([=] { return ImplicitTls(tls); }, kClientWires, Fault::kCut,
                 ExpectFirstSent, /*stride=*/5);
  }
}

TEST(ImplicitTls, ClaimsNothingWhenTheClientIsLostAtAnyOctet) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd, Fault::kStall}) {
    ForEachOctet([] { return ImplicitTls(ClientTls::kTls13); }, kClientWires,
                 fault, nullptr, /*stride=*/9);
  }
}

TEST(ImplicitTls, E036PlaintextIsEndedAtOnce) {
  WorldOptions options;
  options.implicit_tls = true;
  World world(std::move(options));
  ClientPlan plan;
  plan.raw = {{"EHLO there.example\r\n", 1}};
  plan.says_hello = false;
  plan.says_quit = false;
  // It speaks first: it takes the port for one with a greeting, and waits in
  // vain.
  plan.speaks_first = true;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 1s);
  EXPECT_TRUE(world.LogHas("plaintext on an implicit-TLS port"));
  const size_t plaintext = TlsFailureIndex(tls::TlsFailure::kPlaintext);
  EXPECT_EQ(world.counters().handshake_failures.at(plaintext), 1);
}

TEST(ImplicitTls, E021SilenceEndsAtTheHandshakeTimeout) {
  WorldOptions options;
  options.implicit_tls = true;
  options.settings.tls_handshake_timeout = Settings::Seconds(30);
  World world(std::move(options));
  world.AddClient(ClientPlan());  // waits for a greeting
  EXPECT_EQ(world.Run(), "");
  EXPECT_GE(world.client(0).ended_after(), 30s);
  EXPECT_LT(world.client(0).ended_after(), 32s);
  EXPECT_TRUE(world.LogHas("timed out"));
}

// --- how many handshakes at a time ------------------------------------------

TEST(HandshakeLimits, OneClientDoesNotTakeThemAll) {
  WorldOptions options;
  options.settings.client_tls_handshake_limit = 3;
  options.settings.tls_handshake_timeout = Settings::Seconds(30);
  World world(std::move(options));
  // Six from one address say STARTTLS and then nothing.
  for (int i = 0; i < 6; ++i) {
    ClientPlan plan;
    plan.address = "198.51.100.7";
    plan.raw = {{"STARTTLS\r\n", 1}};
    plan.says_quit = false;
    plan.stays = 20s;
    world.AddClient(std::move(plan));
  }
  ClientPlan other = MakeClient(9, 1);
  other.tls = ClientTls::kTls13;
  other.start_after = 5s;
  world.AddClient(std::move(other));
  EXPECT_EQ(world.Run(), "");
  int refused = 0;
  for (size_t i = 0; i < 6; ++i) {
    const auto& replies = world.client(i).replies();
    refused += static_cast<int>(std::count_if(
        replies.begin(), replies.end(), [](const std::string& reply) {
          return reply.starts_with("454 4.7.0");
        }));
  }
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(world.counters().handshakes_refused, 3);
  ExpectAllSent(world.client(6));
}

// Many addresses that say STARTTLS and then nothing.
TEST(HandshakeLimits, WhoIsSilentDoesNotKeepThemForLong) {
  WorldOptions options;
  options.settings.tls_handshake_limit = 4;
  options.settings.tls_handshake_timeout = Settings::Seconds(30);
  World world(std::move(options));
  for (int i = 0; i < 4; ++i) {
    ClientPlan plan;
    plan.address = "198.51.100." + std::to_string(i);
    plan.raw = {{"STARTTLS\r\n", 1}};
    plan.says_quit = false;
    plan.stays = 1h;
    world.AddClient(std::move(plan));
  }
  for (int i = 0; i < 2; ++i) {
    ClientPlan plan = MakeClient(7 + i, 1);
    plan.tls = ClientTls::kTls13;
    plan.start_after = i == 0 ? 5s : 12s;
    world.AddClient(std::move(plan));
  }
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(world.counters().handshakes_refused, 1);
  ExpectAllSent(world.client(5));
}

// --- TLS to the backend -----------------------------------------------------

TEST(BackendTls, DeliversHoweverTheCiphertextIsCut) {
  ForEachOctet(
      BackendTls, kBackendWires, Fault::kCut,
      [](const World& world, Wire) {
        ExpectAllSent(world.client(0));
        ExpectAllSent(world.client(1));
        ExpectAllUnderTls(world);
        // A session ticket on an idle connection is no reason to close it.
        EXPECT_EQ(world.counters().backend_stale, 0);
      },
      /*stride=*/7);
}

TEST(BackendTls, E081AnswersWhenTheBackendIsLostAtAnyOctet) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd, Fault::kStall}) {
    ForEachOctet(
        BackendTls, kBackendWires, fault,
        [](const World& world, Wire) {
          ExpectAnswered(world.client(0));
          ExpectAllSent(world.client(1));
          ExpectAllUnderTls(world);
        },
        /*stride=*/11);
  }
}

// Without an offer nothing is said in plaintext, not even a MAIL.
TEST(BackendTls, IsNeverReplacedByPlaintext) {
  for (const std::string_view reply :
       {"502 5.5.1 No\r\n", "454 4.7.0 Not now\r\n", ""}) {
    Scene scene = BackendTls();
    scene.options.mischief =
        [reply](
            const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "STARTTLS" || reply.empty()) return std::nullopt;
      SinkMta::Misdeed misdeed;
      misdeed.reply = reply;
      return misdeed;
    };
    // An attacker in between has taken the offer out.
    if (reply.empty()) scene.options.sink_hides_starttls = true;
    World world(std::move(scene.options));
    world.AddClient(std::move(scene.clients[0]));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].mail, 451);
    const auto& replies = world.client(0).replies();
    EXPECT_TRUE(std::any_of(
        replies.begin(), replies.end(),
        [](const std::string& text) { return text.starts_with("451 4.7.1"); }));
    EXPECT_TRUE(world.ledger().accepted().empty());
    EXPECT_EQ(world.backend_dialogue().find("MAIL"), std::string::npos);
  }
}

// Replies in plaintext behind the one to STARTTLS are somebody else's.
TEST(BackendTls, NothingInjectedBehindStartTlsIsHeard) {
  Scene scene = BackendTls();
  scene.options.mischief =
      [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
    if (event.verb != "STARTTLS") return std::nullopt;
    SinkMta::Misdeed misdeed;
    misdeed.reply = "220 2.0.0 Ready\r\n250-mallory.example\r\n250 SIZE 0\r\n";
    return misdeed;
  };
  World world(std::move(scene.options));
  world.AddClient(std::move(scene.clients[0]));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(world.client(0).results()[0].mail, 451);
  EXPECT_TRUE(world.LogHas("plaintext behind its reply to STARTTLS"));
  EXPECT_TRUE(world.ledger().accepted().empty());
}

}  // namespace
}  // namespace tlspost::sim
