// A backend that misbehaves: at each command, in each way.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Misdeed = SinkMta::Misdeed;
using Xclient = SinkMta::Xclient;

constexpr std::string_view kVerbs[] = {"CONNECT", "EHLO", "XCLIENT", "MAIL",
                                       "RCPT",    "DATA", "LINE",    ".",
                                       "RSET",    "QUIT"};

// Nothing of these says that a message was accepted.
std::vector<Misdeed> AllMisdeeds() {
  return {
      Says("", /*close=*/true),
      Says(""),  // silence
      Says("421 4.3.2 sink.example closing\r\n", true),
      Says("421-4.3.2 sink.example\r\n421 4.3.2 closing\r\n", true),
      Says("421 4.3.2 sink.example says goodbye and stays\r\n"),
      Says("450 4.2.0 Later\r\n"),
      Says("452 4.2.2 Full\r\n"),
      Says("501 5.5.4 Bad syntax\r\n"),
      Says("503 5.5.1 Bad sequence\r\n"),
      Says("550 5.7.0 Error: insufficient authorization\r\n"),
      Says("550-5.7.1 You\r\n550-5.7.1 are not\r\n550 5.7.1 welcome\r\n"),
      Says("554 5.7.1 Access denied\r\n"),
      Says("552 5.3.4 Too big\r\n", true),
      Says("550 5.0.0 One\r\n550 5.0.0 too many\r\n"),
      Says("451 4.0.0 One\r\n421 4.4.2 timeout\r\n", true),
      Says("hello\r\n"),
      Says("2x0 Ok\r\n"),
      Says("999 5.0.0 Ok\r\n"),
      Says("55"),  // half a reply
      Says("550-5.0.0 half a"),
      Says("550-5.0.0 half\r\n", true),
      Says("550 5.0.0 bare LF\n"),
      Says("550-5.0.0 one\r\n450 4.0.0 two codes\r\n"),
      Says(std::string(3000, 'x')),  // no line end in sight
      Delays(10s),
      Delays(40s),
      Delays(70s),
  };
}

// A server that refuses EHLO for good is one without XCLIENT: another world.
bool MakesItAnotherServer(std::string_view verb, const Misdeed& misdeed) {
  return verb == "EHLO" &&
         (misdeed.reply.starts_with("50") || misdeed.reply.starts_with("55"));
}

// The `nth` time the sink is about to answer `verb` it misbehaves; then never
// again, unless `always`.
SinkMta::Mischief Once(std::string_view verb, int nth, Misdeed misdeed,
                       bool always = false) {
  auto count = std::make_shared<int>(0);
  return [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
    if (event.verb != verb) return std::nullopt;
    const int seen = (*count)++;
    if (always ? seen < nth : seen != nth) return std::nullopt;
    return misdeed;
  };
}

// Two clients at once over one connection, and one more when all is over.
void AddUsualClients(World& world, uint64_t number) {
  for (int i = 0; i < 2; ++i) {
    ClientPlan plan = MakeClient(i, 2);
    plan.mails[1] = MakeMail(i, 1, /*recipients=*/3);
    plan.pipelining = (number >> i) % 2 == 0;
    if (i == 0 && number % 7 == 0) plan.tls = ClientTls::kTls13;
    world.AddClient(std::move(plan));
  }
  // Its first mail may be the one to find the server unfriendly.
  ClientPlan later = MakeClient(2, 2);
  later.start_after = 600s;
  later.pause = 2s;
  world.AddClient(std::move(later));
}

WorldOptions Mischievous(uint64_t number, Xclient xclient) {
  WorldOptions options;
  options.seed = number;
  options.sink.xclient = xclient;
  options.sink.pipelining = number % 3 != 1;
  options.sink.enhanced_status_codes = number % 5 != 1;
  options.settings.backend_max_connections = 1 + static_cast<int>(number % 2);
  options.settings.backend_connect_timeout = Settings::Seconds(10);
  options.settings.backend_timeout = Settings::Seconds(30);
  options.settings.backend_data_done_timeout = Settings::Seconds(60);
  return options;
}

TEST(Backend, MisbehavesOnceAndNothingIsLost) {
  const std::vector<Misdeed> misdeeds = AllMisdeeds();
  constexpr uint64_t kTimes = 2;
  const uint64_t verbs = std::size(kVerbs);
  for (const Xclient xclient :
       {Xclient::kMany, Xclient::kOnce, Xclient::kNone}) {
    ForEachWorld(verbs * misdeeds.size() * kTimes, [&](uint64_t number) {
      const std::string_view verb = kVerbs[number % verbs];
      const Misdeed& misdeed = misdeeds[number / verbs % misdeeds.size()];
      const int nth = static_cast<int>(number / verbs / misdeeds.size());
      if (MakesItAnotherServer(verb, misdeed)) return;
      WorldOptions options = Mischievous(number, xclient);
      options.mischief = Once(verb, nth, misdeed);
      World world(std::move(options));
      AddUsualClients(world, number);
      EXPECT_EQ(world.Run(), "") << verb << ": " << misdeed.reply;
      ExpectAnswered(world.client(0));
      ExpectAnswered(world.client(1));
      EXPECT_EQ(world.client(2).results().back().final_code, 250);
    });
  }
}

TEST(Backend, MisbehavesAlwaysAndEveryClientIsAnswered) {
  const std::vector<Misdeed> misdeeds = AllMisdeeds();
  const uint64_t verbs = std::size(kVerbs);
  ForEachWorld(verbs * misdeeds.size(), [&](uint64_t number) {
    const std::string_view verb = kVerbs[number % verbs];
    const Misdeed& misdeed = misdeeds[number / verbs];
    if (MakesItAnotherServer(verb, misdeed)) return;
    WorldOptions options =
        Mischievous(number, number % 4 == 0 ? Xclient::kOnce : Xclient::kMany);
    options.mischief = Once(verb, 0, misdeed, /*always=*/true);
    World world(std::move(options));
    AddUsualClients(world, number);
    EXPECT_EQ(world.Run(), "") << verb << ": " << misdeed.reply;
    for (int i = 0; i < 3; ++i) ExpectAnswered(world.client(i));
  });
}

// Edges 98 and 99: what a refused XCLIENT makes of the client's MAIL.
TEST(Backend, E098ARefusedIdentityIsNeverWorkedAround) {
  struct Case {
    std::string reply;
    int mail;
  };
  const Case cases[] = {
      {"550 5.7.0 Error: insufficient authorization\r\n", 451},
      {"501 5.5.4 Bad ADDR syntax\r\n", 451},
      {"503 5.5.1 Error: MAIL transaction in progress\r\n", 451},
      {"554 5.7.1 <c0.example>: Client host rejected\r\n", 554},
      {"450 4.7.1 Greylisted\r\n", 450},
      {"550 5.7.1 You are listed\r\n", 550},
      {"421 4.3.2 Not now\r\n", 451},
      {"250 2.0.0 Ok\r\n", 451},
      {"354 Go on\r\n", 451},
  };
  ForEachWorld(std::size(cases) * 2, [&](uint64_t number) {
    const Case& it = cases[number / 2];
    WorldOptions options = Mischievous(number, Xclient::kMany);
    options.mischief = Once("XCLIENT", 0, Says(it.reply), /*always=*/true);
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    EXPECT_EQ(world.Run(), "") << it.reply;
    EXPECT_EQ(world.client(0).results()[0].mail, it.mail) << it.reply;
    EXPECT_TRUE(world.ledger().accepted().empty());
  });
}

// Edges 96 and 104: the server says something on idle and busy connections
// alike, at every step.
TEST(Backend, E104WhatItSaysUnaskedReachesNobody) {
  constexpr std::string_view kWords[] = {
      "421 4.4.2 sink.example Error: timeout exceeded\r\n", "250 2.0.0 Ok\r\n",
      "550 5.0.0 No\r\n", "25"};
  ForEachWorld(4 * 160, [&](uint64_t number) {
    WorldOptions options = Mischievous(number, Xclient::kMany);
    options.settings.backend_max_connections = 1;
    options.backend_may_lie = true;
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    ClientPlan second = MakeClient(1, 1);
    second.start_after = 300ms;
    second.pipelining = number % 8 < 4;
    world.AddClient(std::move(second));
    const auto words = kWords[number % 4];
    const io::Endpoint backend = *io::Endpoint::FromIp("10.0.0.1", 10025);
    world.AtStep(static_cast<int64_t>(number / 4), [&world, words, backend] {
      world.loop().SayUnasked(backend, words);
    });
    EXPECT_EQ(world.Run(), "");
    ExpectAnswered(world.client(0));
    ExpectAnswered(world.client(1));
  });
}

// Edge 96: an idle connection that the server has closed is not noticed by
// the client whose MAIL comes next.
TEST(Backend, E096AStaleConnectionIsFoundBeforeOrMailIsSentAgain) {
  ForEachWorld(120, [](uint64_t number) {
    WorldOptions options = Mischievous(number, Xclient::kMany);
    options.settings.backend_idle_timeout = Settings::Seconds(600);
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 2);
    plan.pause = 2s;
    plan.pipelining = number % 2 == 0;
    world.AddClient(std::move(plan));
    const io::Endpoint backend = *io::Endpoint::FromIp("10.0.0.1", 10025);
    // While the first mail's replies are on their way, or when idle, or
    // just when the second MAIL is sent.
    world.AtTime(6s + number * 50ms, [&world, backend] {
      world.loop().ResetConnectionsTo(backend);
    });
    EXPECT_EQ(world.Run(), "");
    ExpectAnswered(world.client(0));
    if (world.counters().backend_stale > 0) {
      EXPECT_EQ(world.client(0).results()[1].final_code, 250);
    }
  });
}

// Finding 6: the server has closed, but the news comes behind our MAIL.
TEST(Backend, E096MailIsSentAgainWhenTheConnectionProvesToBeClosed) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = Mischievous(number, Xclient::kMany);
    options.settings.backend_max_connections = 2;
    const Misdeed misdeed = number % 2 == 0
                                ? Says("", /*close=*/true)
                                : Says("421 4.4.2 timeout exceeded\r\n", true);
    options.mischief = Once("MAIL", 1, misdeed);
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 3);
    plan.pipelining = number % 3 != 0;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.counters().lease_retries, 1);
  });
}

// Edge 82: what it says in mid-message is heard then, not at the end.
TEST(Backend, E082ARefusalInMidMessageStopsTheMessage) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options = Mischievous(number, Xclient::kMany);
    options.settings.backend_max_connections = 1;
    options.mischief = Once("LINE", 10, Says("552 5.2.2 Full\r\n"));
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 2);
    std::string& body = plan.mails[0].body;
    while (body.size() < 500'000) body += std::string(70, 'b') + "\r\n";
    body += "the last line\r\n";
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 552);
    EXPECT_EQ(world.client(0).results()[1].final_code, 250);
    EXPECT_EQ(world.backend_dialogue().find("the last line"),
              std::string::npos);
  });
}

// Edge 106: the server is restarted at every step.
TEST(Backend, E106IsRestartedAtAnyStepAndNothingIsLostOrDoubled) {
  ForEachWorld(Scaled(400), [](uint64_t number) {
    WorldOptions options =
        Mischievous(number, number % 4 == 0 ? Xclient::kOnce : Xclient::kMany);
    options.settings.backend_warm_spares = static_cast<int>(number % 3);
    World world(std::move(options));
    AddUsualClients(world, number);
    world.AtStep(static_cast<int64_t>(number),
                 [&world] { world.RestartBackend(2s); });
    EXPECT_EQ(world.Run(), "");
    ExpectAnswered(world.client(0));
    ExpectAnswered(world.client(1));
    EXPECT_EQ(world.client(2).results().back().final_code, 250);
  });
}

TEST(Backend, DownAtTheStartIsNoReasonNotToStart) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = Mischievous(number, Xclient::kMany);
    options.sinks = 1 + static_cast<int>(number % 2);
    World world(std::move(options));
    world.RestartBackend(60s);
    world.AddClient(MakeClient(0, 2));
    ClientPlan later = MakeClient(1, 2);
    later.start_after = 200s;
    world.AddClient(std::move(later));
    EXPECT_EQ(world.Run(), "");
    for (const MailResult& result : world.client(0).results()) {
      EXPECT_EQ(result.mail, 451);
    }
    ExpectAllSent(world.client(1));
  });
}

}  // namespace
}  // namespace tlspost::sim
