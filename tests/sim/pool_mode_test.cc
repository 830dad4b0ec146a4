// pool_mode = session: a client keeps its backend connection to its end.

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "tests/sim/faults.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/plans.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Xclient = SinkMta::Xclient;

WorldOptions SessionMode(uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.settings.pool_mode = PoolMode::kSession;
  options.sink.xclient = kXclients[seed % 3];
  return options;
}

// How often the backends heard a command that begins so.
int TimesHeard(const World& world, std::string_view command) {
  return CountWords(world.backend_dialogue(), " " + std::string(command));
}

// The connections on which the client's mails were taken.
std::set<int> ConnectionsOf(const World& world, int client) {
  std::set<int> connections;
  const std::string domain = "@c" + std::to_string(client) + ".example";
  for (const SinkMta::Message& message : world.ledger().accepted()) {
    if (message.sender.ends_with(domain)) {
      connections.insert(message.connection);
    }
  }
  return connections;
}

TEST(SessionMode, AClientHasOneConnectionAndNobodyElseHasIt) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    options.settings.backend_warm_spares = static_cast<int>(number / 3 % 3);
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.pause = (number / 3 % 2) * 40ms;
      plan.start_after = (number / 6 % 3) * i * 500ms;
      if (i == 1) plan.tls = ClientTls::kTls13;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    std::set<int> all;
    for (int i = 0; i < 3; ++i) {
      ExpectAllSent(world.client(i));
      const std::set<int> own = ConnectionsOf(world, i);
      EXPECT_EQ(own.size(), 1u);
      all.insert(own.begin(), own.end());
    }
    EXPECT_EQ(all.size(), 3u);
    // Each was introduced once, and each connection ended with a QUIT.
    if (number % 3 != 0) {
      EXPECT_EQ(TimesHeard(world, "XCLIENT"), 3);
    }
    EXPECT_EQ(TimesHeard(world, "QUIT"), world.backend_connections());
  });
}

// The next client waits for the slot, not for the connection.
TEST(SessionMode, ItsConnectionIsClosedWhenItLeaves) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.stays = (number / 3 % 3) * 5s;
      plan.says_quit = number % 2 == 0;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
    EXPECT_EQ(world.backend_connections(), 3);
    EXPECT_EQ(world.most_slots_used(), 1);
    EXPECT_EQ(TimesHeard(world, "QUIT"), 3);
  });
}

TEST(SessionMode, ResetAndEhloDoNotGiveItBack) {
  ForEachWorld(60, [](uint64_t number) {
    World world(SessionMode(number));
    ClientPlan plan = MakeClient(0, 2);
    plan.helo = "later.example";
    plan.start_after = 1s;
    plan.raw = {{"EHLO first.example\r\n", 1},
                {"MAIL FROM:<x@c0.example>\r\n", 1},
                {"RSET\r\n", 1},
                {"MAIL FROM:<y@c0.example>\r\n", 1},
                {"EHLO later.example\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 1);
    EXPECT_EQ(TimesHeard(world, "RSET"), 2);
    if (number % 3 != 0) {
      EXPECT_EQ(TimesHeard(world, "EHLO later.example"), 1);
    }
  });
}

// What the backend is told of the protocol is what the client said last.
TEST(SessionMode, EhloAndHeloAreSaidAgain) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    // None of them lets PIPELINING pass after HELO.
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 2);
    plan.esmtp = number / 3 % 2 == 0;
    plan.start_after = 1s;
    const std::string before = plan.esmtp ? "HELO" : "EHLO";
    const std::string after = plan.esmtp ? "EHLO" : "HELO";
    const std::string name = " c0.example\r\n";
    plan.raw = {{before + name, 1},
                {"MAIL FROM:<x@c0.example>\r\n", 1},
                {"RSET\r\n", 1},
                {after + name, 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 1);
    if (number % 3 != 0) {
      EXPECT_EQ(TimesHeard(world, after + " c0.example"), 1);
    }
  });
}

// RFC 9422 section 4.1: the connection that has had its mails is replaced, and
// the client, which does not know of the limit, sends on.
TEST(SessionMode, Rfc9422_MailMaxIsKept) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    options.settings.backend_max_connections = 1;
    options.sink.ehlo_lines = "250-LIMITS MAILMAX=2\r\n";
    auto mails = std::make_shared<std::map<int, int>>();
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "MAIL" || ++(*mails)[event.connection] <= 2) {
        return std::nullopt;
      }
      SinkMta::Misdeed misdeed;
      misdeed.reply = "421 4.7.0 too many mails\r\n";
      misdeed.close = true;
      return misdeed;
    };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 5);
    plan.pipelining = number / 3 % 2 == 0;
    plan.pause = (number / 6 % 2) * 1s;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 3);
    EXPECT_EQ(TimesHeard(world, "MAIL"), 5);
    EXPECT_EQ(TimesHeard(world, "QUIT"), 3);
  });
}

TEST(SessionMode, StartTlsGivesItBack) {
  ForEachWorld(30, [](uint64_t number) {
    World world(SessionMode(number));
    ClientPlan plan = MakeClient(0, 2);
    plan.tls = ClientTls::kTls13;
    plan.before_starttls = {{"MAIL FROM:<x@c0.example>\r\n", 1},
                            {"RSET\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 2);
    EXPECT_EQ(TimesHeard(world, "QUIT"), 2);
  });
}

// The server closes it while the client thinks, or its end is not seen before
// MAIL: in either case another one takes its place.
TEST(SessionMode, AnIdleConnectionThatDiesIsReplaced) {
  ForEachWorld(90, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    const bool by_restart = number / 3 % 2 == 0;
    auto done = std::make_shared<bool>(false);
    if (!by_restart) {
      options.mischief =
          [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
        const bool second =
            event.line.find("m1@c0") != std::string_view::npos && !*done;
        if (event.verb != "MAIL" || !second) return std::nullopt;
        *done = true;
        SinkMta::Misdeed misdeed;
        misdeed.close = true;
        return misdeed;
      };
    }
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 3);
    plan.pipelining = number % 2 == 0;
    plan.pause = 10s;
    world.AddClient(std::move(plan));
    if (by_restart) {
      for (int i = 1; i < 8; ++i) {
        world.AtTime(i * 13s, [&world] {
          // Between two mails only: within one it is the client that repeats.
          if (world.ledger().accepted().size() != 1) return;
          world.RestartBackend(1ms);
        });
      }
    }
    EXPECT_EQ(world.Run(), "");
    if (!by_restart) {
      ExpectAllSent(world.client(0));
      EXPECT_EQ(world.backend_connections(), 2);
    } else {
      ExpectAnswered(world.client(0));
    }
  });
}

TEST(SessionMode, AFailedAuthIsTriedOnItsConnectionAndEndsIt) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    options.sink.auth = "PLAIN";
    options.sink.passwords = {{"user", "secret"}};
    options.settings.tls_auth_only = false;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.raw = {{"MAIL FROM:<x@c0.example>\r\n", 1},
                {"RSET\r\n", 1},
                {"AUTH PLAIN AHVzZXIAd3Jvbmc=\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 2);
  });
}

TEST(SessionMode, NothingIsLostWhereverAClientOrABackendBreaks) {
  for (const Xclient xclient : kXclients) {
    for (const Fault fault : {Fault::kReset, Fault::kEnd, Fault::kStall}) {
      const auto make = [=] {
        Scene scene;
        scene.options = SessionMode(1);
        scene.options.sink.xclient = xclient;
        scene.options.sinks = 2;
        scene.options.settings.backend_max_connections = 2;
        scene.options.settings.pool_wait_timeout = 1h;
        scene.clients = {MakeClient(0, 2), MakeClient(1, 2)};
        scene.clients[1].start_after = 40ms;
        scene.options.clients_may_hang = fault == Fault::kStall;
        return scene;
      };
      ForEachOctet(
          make,
          {Wire::kFromClient, Wire::kToClient, Wire::kToBackend,
           Wire::kFromBackend},
          fault,
          [](const World& world, Wire wire) {
            const bool clients_fault =
                wire == Wire::kFromClient || wire == Wire::kToClient;
            if (clients_fault) {
              ExpectAllSent(world.client(1));
            } else {
              ExpectAnswered(world.client(0));
            }
          },
          /*stride=*/7);
    }
  }
}

// First come, first served.
TEST(Waiting, E097ASlotGoesToWhoWaitsLongest) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    options.settings.pool_mode = PoolMode::kTransaction;
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    World world(std::move(options));
    for (int i = 0; i < 5; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      // The first has it from the third to the sixth second.
      plan.start_after = i == 0 ? 1s : 4500ms + 100ms * i;
      plan.pipelining = i != 0;
      plan.pause = i == 0 ? 1s : 0s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    const auto& accepted = world.ledger().accepted();
    ASSERT_EQ(accepted.size(), 5u);
    for (int i = 0; i < 5; ++i) {
      EXPECT_EQ(accepted[static_cast<size_t>(i)].sender,
                "m0@c" + std::to_string(i) + ".example");
    }
  });
}

// Clients take turns: one with many sessions does not make another one wait
// for all of them. Who is one client is what ClientLimits says.
TEST(Waiting, E097OneClientsManySessionsAreNotAheadOfAnothers) {
  constexpr int kMany = 12;
  ForEachWorld(4 * 10, [](uint64_t number) {
    const bool proxied = number % 4 == 1;
    const bool ipv6 = number % 4 == 2;
    WorldOptions options = SessionMode(number);
    if (number % 4 != 3) {
      options.settings.pool_mode = PoolMode::kTransaction;
    }
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    if (proxied) {
      options.settings.upstream_proxy_protocol =
          UpstreamProxyProtocol::kHaproxy;
      options.settings.haproxy_networks = {"10.1.0.1"};
    }
    World world(std::move(options));
    for (int i = 0; i <= kMany; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      const bool is_other = i == kMany;
      // The first has the connection from the third to the sixth second.
      plan.start_after = 4500ms + (is_other ? 500ms : 40ms * i);
      if (i == 0) plan.start_after = plan.pause = 1s;
      plan.pipelining = i != 0;
      if (ipv6) {
        plan.address =
            is_other ? "2001:db8:0:1::1" : "2001:db8::" + std::to_string(i + 1);
      } else {
        plan.address = is_other ? "192.0.2.200" : "192.0.2.100";
      }
      if (proxied) plan.balancer = "10.1.0.1";
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    const auto& accepted = world.ledger().accepted();
    ASSERT_EQ(accepted.size(), kMany + 1u);
    // One of the first client's was next, then it is the other's turn.
    std::string order;
    for (size_t i = 0; i < 3; ++i) order += accepted[i].sender + " ";
    EXPECT_NE(order.find("@c12.example"), std::string::npos) << order;
    // And its own come in the order of their coming.
    int last = -1;
    for (const SinkMta::Message& message : accepted) {
      const int client = std::stoi(message.sender.substr(4));
      if (client == kMany) continue;
      EXPECT_EQ(client, last + 1);
      last = client;
    }
  });
}

// A backend that takes its time over RSET keeps no client that says QUIT.
TEST(Quit, E108IsAnsweredAtOnceAndTheConnectionGoesOn) {
  ForEachWorld(4 * 15, [](uint64_t number) {
    WorldOptions options = SessionMode(number / 4);
    const bool hangs = number % 2 == 1;
    const bool session = number / 2 % 2 == 1;
    if (!session) options.settings.pool_mode = PoolMode::kTransaction;
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RSET") return std::nullopt;
      SinkMta::Misdeed slow;
      if (hangs) return slow;  // it never answers
      slow.delay = 20s;
      slow.normal = true;
      return slow;
    };
    World world(std::move(options));
    ClientPlan first;
    first.raw = {{"MAIL FROM:<x@c0.example>\r\n", 1}};
    first.start_after = 1s;
    world.AddClient(std::move(first));
    ClientPlan second = MakeClient(1, 1);
    second.start_after = 2s;
    world.AddClient(std::move(second));
    EXPECT_EQ(world.Run(), "");
    EXPECT_LT(world.client(0).ended_after(), 2s);
    EXPECT_TRUE(world.client(0).replies().back().starts_with("221"));
    ExpectAllSent(world.client(1));
    EXPECT_GT(world.client(1).ended_after(), 20s);
    const bool reused = !hangs && !session && number / 4 % 3 != 2;
    EXPECT_EQ(world.backend_connections(), reused ? 1 : 2);
  });
}

TEST(Quit, ADrainDoesNotWaitForABackendThatNobodyNeeds) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = SessionMode(number);
    if (number % 2 == 0) options.settings.pool_mode = PoolMode::kTransaction;
    options.mischief =
        [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RSET") return std::nullopt;
      return SinkMta::Misdeed();  // silence
    };
    World world(std::move(options));
    ClientPlan plan;
    plan.raw = {{"MAIL FROM:<x@c0.example>\r\n", 1}};
    world.AddClient(std::move(plan));
    world.AtTime(5s, [&world] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
  });
}

}  // namespace
}  // namespace tlspost::sim
