// One client and one backend: the dialogue however its bytes are cut, lost or
// held up, on each of the four wires, in plaintext and under TLS.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/replay.h"
#include "tests/sim/sim_tls.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""s;

Scene TwoMails(ClientTls tls, bool pipelining) {
  Scene scene;
  ClientPlan plan = MakeClient(0, 2);
  plan.mails[1] = MakeMail(0, 1, /*recipients=*/2);
  plan.tls = tls;
  plan.pipelining = pipelining;
  // What the backend offers is known by then: all replies are the same.
  plan.start_after = 1s;
  plan.first_helo = tls == ClientTls::kNone ? "" : "before-tls.example";
  scene.clients.push_back(std::move(plan));
  return scene;
}

void ExpectClientSent(const World& world, Wire /*wire*/) {
  ExpectAllSent(world.client(0));
}

TEST(Session, DeliversInPlaintextAndUnderTls) {
  ForEachWorld(60, [](uint64_t number) {
    const ClientTls tls[] = {ClientTls::kNone, ClientTls::kTls12,
                             ClientTls::kTls13};
    Scene scene = TwoMails(tls[number % 3], number % 2 == 0);
    scene.options.seed = number;
    World world(std::move(scene.options));
    world.AddClient(std::move(scene.clients[0]));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.LogHas("TLS connection reused from"), number % 3 != 0);
    EXPECT_EQ(world.ledger().accepted().size(), 2u);
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

TEST(Session, E074DeliversTheSameMessageHoweverTheBytesAreCut) {
  for (const bool pipelining : {true, false}) {
    std::vector<std::string> calm;
    const auto make = [=] { return TwoMails(ClientTls::kNone, pipelining); };
    ForEachOctet(
        make, kEveryWire, Fault::kCut,
        [&](const World& world, Wire wire) {
          ExpectClientSent(world, wire);
          const auto& replies = world.client(0).replies();
          if (calm.empty()) calm = replies;
          EXPECT_EQ(replies, calm);
        },
        /*stride=*/pipelining ? 1 : 3);
  }
}

TEST(Session, DeliversWhenEveryReadIsOneOctet) {
  ForEachWorld(24, [](uint64_t number) {
    const ClientTls tls[] = {ClientTls::kNone, ClientTls::kTls12,
                             ClientTls::kTls13};
    Scene scene = TwoMails(tls[number % 3], number % 2 == 0);
    scene.options.seed = number;
    ConnectionFaults faults;
    faults.to_server.max_read = faults.to_client.max_read = 1;
    scene.options.client_faults = [=](int) { return faults; };
    scene.options.backend_faults = [=](int) { return faults; };
    World world(std::move(scene.options));
    world.AddClient(std::move(scene.clients[0]));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
  });
}

TEST(Session, DeliversHoweverTheCiphertextIsCut) {
  for (const ClientTls tls : {ClientTls::kTls13, ClientTls::kTls12}) {
    ForEachOctet([=] { return TwoMails(tls, true); }, kClientWires, Fault::kCut,
                 ExpectClientSent, tls == ClientTls::kTls13 ? 2 : 7);
  }
}

TEST(Session, DeliversHoweverAFullHandshakeIsCut) {
  SetResumption(false);
  ForEachOctet([] { return TwoMails(ClientTls::kTls13, true); }, kClientWires,
               Fault::kCut, ExpectClientSent, /*stride=*/7);
  SetResumption(true);
}

// --- loss -------------------------------------------------------------------

TEST(Session, E079ClaimsNoDeliveryItDidNotGetWhenTheClientIsReset) {
  for (const ClientTls tls : {ClientTls::kNone, ClientTls::kTls13}) {
    for (const Fault fault : {Fault::kReset, Fault::kEnd}) {
      ForEachOctet([=] { return TwoMails(tls, true); }, kClientWires, fault,
                   nullptr, tls == ClientTls::kNone ? 1 : 3);
    }
  }
}

// The backend's first connection is lost; the client is told, and a later mail
// goes over another one.
Scene WithALaterMail() {
  Scene scene = TwoMails(ClientTls::kNone, true);
  scene.options.settings.backend_connect_timeout = Settings::Seconds(10);
  scene.options.settings.backend_timeout = Settings::Seconds(30);
  scene.options.settings.backend_data_done_timeout = Settings::Seconds(60);
  ClientPlan later = MakeClient(1, 1);
  later.start_after = 300s;
  scene.clients.push_back(std::move(later));
  return scene;
}

void ExpectAnsweredAndLaterSent(const World& world, Wire /*wire*/) {
  ExpectAnswered(world.client(0));
  ExpectAllSent(world.client(1));
}

TEST(Session, E081AnswersWhenTheBackendIsLostAtAnyOctet) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd}) {
    ForEachOctet(WithALaterMail, kBackendWires, fault,
                 ExpectAnsweredAndLaterSent);
    ForEachOctet(
        [] {
          Scene scene = WithALaterMail();
          scene.options.sink.pipelining = false;
          return scene;
        },
        kBackendWires, fault, ExpectAnsweredAndLaterSent, /*stride=*/5);
  }
}

// --- deadlines --------------------------------------------------------------

TEST(Session, EndsByItsDeadlinesWhenTheBackendStallsAtAnyOctet) {
  ForEachOctet(WithALaterMail, kBackendWires, Fault::kStall,
               ExpectAnsweredAndLaterSent);
}

TEST(Session, EndsByItsDeadlinesWhenTheClientStallsAtAnyOctet) {
  for (const ClientTls tls : {ClientTls::kNone, ClientTls::kTls13}) {
    ForEachOctet([=] { return TwoMails(tls, true); }, kClientWires,
                 Fault::kStall, nullptr, tls == ClientTls::kNone ? 2 : 9);
  }
}

TEST(Session, SaysGoodbyeToASilentClientInTime) {
  // command_timeout, data_timeout and tls_handshake_timeout at each octet.
  const auto make = [] {
    Scene scene = TwoMails(ClientTls::kNone, true);
    return scene;
  };
  ForEachOctet(make, {Wire::kFromClient}, Fault::kStall,
               [](const World& world, Wire) {
                 const auto& replies = world.client(0).replies();
                 ASSERT_FALSE(replies.empty());
                 const bool told = replies.back().starts_with("421 ") ||
                                   replies.back().starts_with("221 ");
                 EXPECT_TRUE(told) << replies.back();
               });
}

// --- the client's own end ---------------------------------------------------

TEST(Session, AClientMayVanishHalfCloseOrGoSilentAfterAnyOctet) {
  const ClientPlan plan = TwoMails(ClientTls::kNone, true).clients[0];
  constexpr uint64_t kLongest = 420;
  for (const Stop stop : {Stop::kVanish, Stop::kHalfClose, Stop::kStall}) {
    for (const ClientTls tls : {ClientTls::kNone, ClientTls::kTls13}) {
      const uint64_t stride = tls == ClientTls::kNone ? 1 : 5;
      ForEachWorld(kLongest / stride, [&](uint64_t world_number) {
        const uint64_t number = world_number * stride;
        Scene scene = TwoMails(tls, number % 2 == 0);
        scene.options.seed = number;
        scene.clients[0].stop_after = number;
        scene.clients[0].stop = stop;
        World world(std::move(scene.options));
        world.AddClient(std::move(scene.clients[0]));
        EXPECT_EQ(world.Run(), "");
        // Edge 80: half-closed behind the dot it still gets its 250.
        for (const MailResult& result : world.client(0).results()) {
          if (stop == Stop::kHalfClose && tls == ClientTls::kNone &&
              result.dot_sent) {
            EXPECT_EQ(result.final_code, 250);
          }
        }
      });
    }
  }
}

TEST(SimLoop, TheSameSeedGivesTheSameRun) {
  std::string logs[2];
  int64_t steps[2] = {};
  for (int run = 0; run < 2; ++run) {
    Scene scene = TwoMails(ClientTls::kTls13, true);
    scene.options.seed = 4711;
    ConnectionFaults faults;
    faults.to_server.random_cuts = faults.to_client.random_cuts = true;
    faults.to_server.random_delays = faults.to_client.random_delays = true;
    scene.options.client_faults = [=](int) { return faults; };
    World world(std::move(scene.options));
    world.AddClient(std::move(scene.clients[0]));
    EXPECT_EQ(world.Run(), "");
    logs[run] = world.log();
    steps[run] = world.steps();
  }
  EXPECT_EQ(logs[0], logs[1]);
  EXPECT_EQ(steps[0], steps[1]);
}

}  // namespace
}  // namespace tlspost::sim
