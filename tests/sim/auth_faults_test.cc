// AUTH when things go wrong: connections cut, lost and silent at every octet,
// a backend that misbehaves, a restart, a drain. Nobody's mail goes out under
// another name, and no credentials reach the log: the ledger looks.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/smtp/base64.h"
#include "common/smtp/reply_parser.h"
#include "tests/sim/auth_scene.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/plans.h"
#include "tests/sim/replay.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Xclient = SinkMta::Xclient;

constexpr std::string_view kGoodbye =
    "421 4.3.0 mx.example Service unavailable, try again later\r\n";

// One that authenticates, at the second try, and one that does not, on one
// connection.
Scene TwoClients(ClientTls tls, std::string_view mechanism) {
  Scene scene;
  scene.options = AuthOptions(0);
  scene.options.settings.backend_max_connections = 1;
  scene.options.settings.pool_wait_timeout = Settings::Hours(2);
  ClientPlan first = MakeAuthClient(0, 2, mechanism);
  first.auths = {WrongAuth(0, mechanism), RightAuth(0, mechanism)};
  first.tls = tls;
  ClientPlan second = MakeClient(1, 1);
  second.start_after = 1200ms;
  scene.clients = {std::move(first), std::move(second)};
  return scene;
}

void EveryOctet(Fault fault, ClientTls tls, std::string_view mechanism,
                const Check& check, uint64_t stride) {
  ForEachOctet([=] { return TwoClients(tls, mechanism); }, kEveryWire, fault,
               check, stride);
}

TEST(AuthFaults, CutAtEveryOctetItIsTheSame) {
  for (const std::string_view mechanism : kMechanisms) {
    EveryOctet(
        Fault::kCut, ClientTls::kNone, mechanism,
        [](const World& world, Wire) {
          ExpectAllSent(world.client(0));
          ExpectAllSent(world.client(1));
          EXPECT_EQ(world.client(0).auth_codes(), (std::vector<int>{535, 235}));
        },
        /*stride=*/mechanism == "LOGIN" ? 1 : 4);
  }
}

TEST(AuthFaults, CutAtEveryOctetUnderTls) {
  EveryOctet(
      Fault::kCut, ClientTls::kTls13, "LOGIN",
      [](const World& world, Wire) {
        ExpectAllSent(world.client(0));
        EXPECT_EQ(world.client(0).auth_codes(), (std::vector<int>{535, 235}));
      },
      /*stride=*/17);
}

TEST(AuthFaults, ResetAtEveryOctet) {
  for (const std::string_view mechanism : kMechanisms) {
    EveryOctet(
        Fault::kReset, ClientTls::kNone, mechanism,
        [](const World& world, Wire) { ExpectAllSent(world.client(1)); },
        /*stride=*/mechanism == "LOGIN" ? 1 : 5);
  }
}

TEST(AuthFaults, EndOrSilenceAtAnyOctet) {
  for (const Fault fault : {Fault::kEnd, Fault::kStall}) {
    EveryOctet(fault, ClientTls::kNone, "LOGIN", {}, /*stride=*/3);
  }
}

TEST(AuthFaults, ResetUnderTls) {
  EveryOctet(
      Fault::kReset, ClientTls::kTls13, "PLAIN",
      [](const World& world, Wire) { ExpectAllSent(world.client(1)); },
      /*stride=*/19);
}

// --- a backend that misbehaves -----------------------------------------------

struct Answer {
  SinkMta::Misdeed misdeed;
  std::string_view client_hears;  // to AUTH or the response; "": as usual
};

Answer Answers(std::string reply, std::string_view client_hears,
               bool close = false) {
  Answer answer;
  answer.misdeed.reply = std::move(reply);
  answer.misdeed.close = close;
  answer.client_hears = client_hears;
  return answer;
}

TEST(AuthFaults, WhateverTheBackendSaysToIt) {
  constexpr std::string_view kLost =
      "454 4.7.0 Temporary authentication failure: lost connection with mail "
      "server\r\n";
  const Answer answers[] = {
      Answers("", kLost, /*close=*/true),
      Answers("", kLost),  // silence
      Answers("garbage\r\n", kLost),
      Answers("250 2.0.0 Ok\r\n", kLost),
      Answers("354 go on\r\n", kLost),
      Answers("335 go on\r\n", kLost),
      Answers("454 4.7.0 later\r\n", "454 4.7.0 later\r\n"),
      Answers("535-5.7.8 a\r\n535 5.7.8 b\r\n",
              "535-5.7.8 a\r\n535 5.7.8 b\r\n"),
      Answers("530 5.7.0 TLS first\r\n", "530 5.7.0 TLS first\r\n"),
      Answers("421 4.7.0 sink too many errors\r\n",
              "454 4.7.0 sink too many errors\r\n", /*close=*/true),
      Answers("535 5.7.8 a\r\n235 2.7.0 b\r\n", "535 5.7.8 a\r\n"),
  };
  ForEachWorld(std::size(answers) * 2 * 6, [&](uint64_t number) {
    const Answer& answer = answers[number % std::size(answers)];
    const std::string_view verb =
        number / std::size(answers) % 2 == 0 ? "AUTH" : "RESPONSE";
    WorldOptions options = AuthOptions(number);
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = Settings::Hours(1);
    options.sink.xclient = kXclients[number % 3];
    options.mischief =
        [&](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != verb) return std::nullopt;
      return answer.misdeed;
    };
    World world(std::move(options));
    world.AddClient(MakeAuthClient(0, 1, "PLAIN"));
    ClientPlan second = MakeClient(1, 1);
    second.start_after = 2s;
    world.AddClient(std::move(second));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& replies = world.client(0).replies();
    EXPECT_EQ(replies[verb == "AUTH" ? 2 : 3], answer.client_hears);
    // Not authenticated, and nobody's mail is taken under a name.
    ExpectAllSent(world.client(0));
    ExpectAllSent(world.client(1));
    EXPECT_EQ(world.counters().auth_succeeded, 0);
    const bool counts = answer.client_hears != kLost;
    EXPECT_EQ(world.counters().auth_failed, counts ? 1 : 0);
  });
}

TEST(AuthFaults, AnExchangeHasAnEnd) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.mischief =
        [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RESPONSE") return std::nullopt;
      SinkMta::Misdeed more;
      more.reply = "334 bW9yZQ==\r\n";
      return more;
    };
    World world(std::move(options));
    world.AddClient(MakeAuthClient(0, 1, kMechanisms[number % 3]));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(CountReplies(world.client(0), "334 "), 16);
    EXPECT_EQ(world.client(0).auth_codes(), std::vector<int>{535});
    ExpectAllSent(world.client(0));
  });
}

TEST(AuthFaults, AChallengeMayBeLong) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    const bool too_long = number % 2 == 1;
    const std::string challenge =
        "334 " + std::string(smtp::kMaxChallengeLineOctets - 4 + too_long, 'A');
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "AUTH") return std::nullopt;
      SinkMta::Misdeed words;
      words.reply = challenge + "\r\n";
      return words;
    };
    World world(std::move(options));
    world.AddClient(MakeAuthClient(0, 1, "PLAIN"));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(CountReplies(world.client(0), "334 "), too_long ? 0 : 1);
    // The sink did not mean it, and does not know what to do with the response.
    EXPECT_EQ(world.client(0).auth_codes()[0], too_long ? 454 : 535);
  });
}

// A connection that died in the pool costs the client nothing.
TEST(AuthFaults, ADeadConnectionIsReplacedBeforeAnybodyAnswered) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.backend_max_connections = 1;
    options.sink.xclient = Xclient::kNone;
    auto first = std::make_shared<bool>(true);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "AUTH" || !std::exchange(*first, false)) {
        return std::nullopt;
      }
      SinkMta::Misdeed gone;
      if (number % 2 == 0) gone.reply = "421 4.4.2 sink timeout\r\n";
      gone.close = true;
      return gone;
    };
    World world(std::move(options));
    world.AddClient(MakeAuthClient(0, 1, kMechanisms[number % 3], true));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).auth_codes(), std::vector<int>{235});
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.counters().lease_retries, 1);
  });
}

// --- a pinned connection that is lost ----------------------------------------

TEST(AuthFaults, E070ALostPinnedConnectionEndsTheSession) {
  ForEachWorld(5 * 24, [](uint64_t number) {
    constexpr std::string_view kVerbs[] = {"MAIL", "RCPT", "DATA", ".", "RSET"};
    const std::string_view verb = kVerbs[number % 5];
    const bool says_why = number / 5 % 2 == 0;
    WorldOptions options = AuthOptions(number);
    options.sink.xclient = kXclients[number / 10 % 3];
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != verb) return std::nullopt;
      SinkMta::Misdeed gone;
      if (says_why) gone.reply = "421 4.3.2 sink leaves\r\n";
      gone.close = true;
      return gone;
    };
    World world(std::move(options));
    ClientPlan plan = MakeAuthClient(0, 1, "PLAIN");
    plan.pipelining = number / 30 % 2 == 0;
    plan.raw = {RawStep{"MAIL FROM:<gone@c0.example>\r\nRSET\r\n", 2}};
    if (verb != "RSET" && verb != "MAIL") plan.raw.clear();
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const SimClient& client = world.client(0);
    EXPECT_EQ(client.user(), "user0@users.example");
    EXPECT_EQ(CountReplies(client, "421 "), 1);
    const bool own_words = verb == "." && !says_why;
    // What it says to our RSET is for us.
    const bool told = says_why && verb != "RSET";
    EXPECT_EQ(client.replies().back(),
              told ? "421 4.3.2 sink leaves\r\n" : kGoodbye);
    if (own_words) {
      EXPECT_EQ(client.results()[0].final_code, 451);
    }
    EXPECT_EQ(world.ledger().accepted().size(), 0u);
    // No other connection was tried.
    EXPECT_EQ(world.counters().leases, 1);
  });
}

TEST(AuthFaults, E070ARestartOfTheBackendEndsTheSession) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.sink.xclient = kXclients[number % 3];
    World world(std::move(options));
    ClientPlan plan = MakeAuthClient(0, 1, "PLAIN");
    plan.pause = 10s;
    world.AddClient(std::move(plan));
    // EHLO at 11 s, AUTH at 21 s, the response at 31 s, MAIL at 41 s.
    world.AtTime(35s, [&world] { world.RestartBackend(1s); });
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).replies().back(), kGoodbye);
    EXPECT_EQ(world.ledger().accepted().size(), 0u);
  });
}

// A message of the client's own that has to be given up takes the connection
// with it.
TEST(AuthFaults, AMessageTooBigEndsItToo) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.message_size_limit = 1000;
    World world(std::move(options));
    ClientPlan plan = MakeAuthClient(0, 1, "PLAIN");
    plan.mails[0].body = std::string(1500, 'x') + "\r\n";
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 552);
    EXPECT_EQ(world.client(0).replies().back(), kGoodbye);
  });
}

// --- the end -----------------------------------------------------------------

TEST(AuthFaults, DrainAtEveryStep) {
  int64_t steps = 0;
  {
    Scene scene = TwoClients(ClientTls::kNone, "LOGIN");
    World world(std::move(scene.options));
    for (ClientPlan& plan : scene.clients) world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    steps = world.steps();
  }
  ForEachWorld(static_cast<uint64_t>(steps), [](uint64_t number) {
    Scene scene = TwoClients(ClientTls::kNone, "LOGIN");
    scene.options.seed = number;
    World world(std::move(scene.options));
    for (ClientPlan& plan : scene.clients) world.AddClient(std::move(plan));
    world.AtStep(static_cast<int64_t>(number), [&world] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
  });
}

TEST(AuthFaults, AClientThatGoesSilentInTheExchangeIsLeft) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = Settings::Hours(1);
    World world(std::move(options));
    ClientPlan silent = MakeAuthClient(0, 0, "X-STEPS");
    silent.stop = Stop::kStall;
    silent.stop_after = 17 + 14 + 1 + number;
    world.AddClient(std::move(silent));
    ClientPlan second = MakeClient(1, 1);
    second.start_after = 2s;
    world.AddClient(std::move(second));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    EXPECT_EQ(world.client(0).replies().back(),
              "421 4.4.2 mx.example Error: timeout exceeded\r\n");
    EXPECT_TRUE(world.LogHas("timeout after AUTH from unknown[192.0.2.10]"));
    EXPECT_TRUE(world.LogHas(" auth=0/1 "));
    // One deadline for the whole of it.
    EXPECT_LT(world.client(1).ended_after(), 6min);
  });
}

TEST(AuthFaults, RandomWorlds) {
  ForEachWorld(Scaled(300), [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.workers = 1 + static_cast<int>(number % 2);
    options.sink.xclient = kXclients[number % 3];
    options.settings.backend_max_connections = 1 + number / 6 % 3;
    options.settings.pool_wait_timeout = 1min;
    options.client_faults = [=](int connection) {
      ConnectionFaults faults;
      faults.to_server.random_cuts = true;
      faults.to_server.random_delays = true;
      if ((number >> (connection % 8)) % 3 == 0) {
        faults.to_server.reset_after = (number * 37 + connection * 11) % 600;
      }
      return faults;
    };
    options.backend_faults = [=](int connection) {
      ConnectionFaults faults;
      faults.to_client.random_cuts = true;
      if (connection % 4 == 1) {
        faults.to_client.end_after = (number * 31 + connection * 13) % 700;
      }
      return faults;
    };
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      const std::string_view mechanism = kMechanisms[(number + i) % 3];
      ClientPlan plan = MakeClient(i, 2);
      if (i % 3 != 0) {
        plan = MakeAuthClient(i, 2, mechanism, i % 2 == 0);
        if (i % 3 == 2) {
          plan.auths.insert(plan.auths.begin(), WrongAuth(i, mechanism));
        }
      }
      plan.worker = i % (1 + static_cast<int>(number % 2));
      plan.start_after = 1s + (number % 7) * i * 10ms;
      plan.pipelining = (number >> i) % 2 == 0;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
  });
}

}  // namespace
}  // namespace tlspost::sim
