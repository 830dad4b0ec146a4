// Several backends: who gets what, and what it means that one of them is down.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
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
using Misdeed = SinkMta::Misdeed;
using Xclient = SinkMta::Xclient;

WorldOptions Several(int sinks, uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.sinks = sinks;
  options.sink.xclient = kXclients[seed % 3];
  options.settings.pool_wait_timeout = 1h;
  return options;
}

io::Endpoint Sink(int number) {
  return *io::Endpoint::FromIp("10.0.0." + std::to_string(number + 1), 10025);
}

// How many mails the sink has heard of.
int MailsOf(const World& world, int sink) {
  int count = 0;
  const std::string& dialogue = world.backend_dialogue();
  const std::string begin = std::to_string(sink) + "-";
  for (size_t at = 0; at < dialogue.size();) {
    const size_t end = dialogue.find('\n', at);
    const std::string line = dialogue.substr(at, end - at);
    if (line.starts_with(begin) && line.find(" MAIL ") != std::string::npos) {
      ++count;
    }
    at = end + 1;
  }
  return count;
}

// Whose command it is that a mischief is asked about.
int LastSink(const World& world) {
  const std::string& dialogue = world.backend_dialogue();
  const size_t last = dialogue.rfind('\n', dialogue.size() - 2);
  return dialogue[last == std::string::npos ? 0 : last + 1] - '0';
}

TEST(Backends, AllOfThemGetTheirShare) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options = Several(3, number);
    options.settings.backend_warm_spares = static_cast<int>(number / 3 % 3);
    World world(std::move(options));
    for (int i = 0; i < 12; ++i) {
      ClientPlan plan = MakeClient(i, 6);
      plan.start_after = 5s;
      plan.pause = 20ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 12; ++i) ExpectAllSent(world.client(i));
    for (int sink = 0; sink < 3; ++sink) {
      EXPECT_GT(MailsOf(world, sink), 72 / 3 / 2) << "sink " << sink;
    }
  });
}

// The limit is for all of them together.
TEST(Backends, ShareTheLimitOfConnections) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options = Several(3, number);
    options.settings.backend_max_connections =
        1 + static_cast<int>(number / 3 % 3);
    options.workers = 1 + static_cast<int>(number % 2);
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.worker = number % 2 == 0 ? 0 : i % 2;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");  // and finds out if it was passed
    for (int i = 0; i < 6; ++i) ExpectAllSent(world.client(i));
  });
}

// Edge 103: connections refused, a bad banner, a banner that does not come.
TEST(Backends, E103ADownOneMakesNobodyWait) {
  enum { kRefused, kBanner, kSilence, kEhlo, kWays };
  ForEachWorld(kWays * 12, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    const int way = static_cast<int>(number % kWays);
    const int bad = static_cast<int>(number / kWays % 2);
    options.settings.backend_warm_spares =
        static_cast<int>(number / kWays / 2 % 3);
    World* playing = nullptr;
    options.mischief =
        [=, &playing](const SinkMta::Event& event) -> std::optional<Misdeed> {
      if (LastSink(*playing) != bad) return std::nullopt;
      Misdeed misdeed;
      if (way == kBanner && event.verb == "CONNECT") {
        misdeed.reply = "554 5.3.2 no service\r\n";
        return misdeed;
      }
      if (way == kSilence && event.verb == "CONNECT") return misdeed;
      if (way == kEhlo && event.verb == "EHLO") {
        misdeed.reply = "421 4.3.2 busy\r\n";
        misdeed.close = true;
        return misdeed;
      }
      return std::nullopt;
    };
    World world(std::move(options));
    playing = &world;
    if (way == kRefused) world.loop().set_refused(Sink(bad), true);
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.start_after = 100ms * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 6; ++i) {
      ExpectAllSent(world.client(i));
      // A backend that says nothing costs a second, the first time.
      EXPECT_LT(world.client(i).ended_after(), way == kSilence ? 4s : 2s);
    }
  });
}

TEST(Backends, OneThatIsBackIsUsedAgain) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    options.settings.backend_warm_spares = static_cast<int>(number % 3);
    World world(std::move(options));
    world.loop().set_refused(Sink(1), true);
    world.AtTime(60s, [&world] { world.loop().set_refused(Sink(1), false); });
    for (int i = 0; i < 8; ++i) {
      ClientPlan plan = MakeClient(i, 10);
      plan.start_after = i < 4 ? 1s : 100s;
      plan.pause = 50ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 8; ++i) ExpectAllSent(world.client(i));
    EXPECT_GT(MailsOf(world, 1), 8);
    EXPECT_TRUE(world.LogHas("others serve meanwhile"));
    EXPECT_TRUE(world.LogHas("backend 10.0.0.2:10025 answers again"));
    EXPECT_FALSE(world.LogHas("clients get 451"));
  });
}

// Who sends clients asks first whether mail can be passed on, and sends none
// while it cannot.
TEST(Backends, TheOnlyOneIsFoundAgainWithoutAnyMail) {
  for (const auto identity :
       {BackendIdentity::kXclient, BackendIdentity::kProxy}) {
    WorldOptions options;
    options.settings.backend_identity = identity;
    if (identity == BackendIdentity::kProxy) {
      options.settings.pool_mode = PoolMode::kSession;
      options.sink.proxy_header = true;
    } else {
      options.sink.xclient = Xclient::kMany;
    }
    World world(std::move(options));
    world.AtTime(10s, [&world] { world.RestartBackend(50s); });
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = i == 0 ? 1s : 30s;
      world.AddClient(std::move(plan));
    }
    ClientPlan silent = Saying({"NOOP"});
    silent.start_after = 200s;
    world.AddClient(std::move(silent));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(1).results()[0].mail, 451);
    EXPECT_TRUE(world.LogHas("answers again"));
  }
}

// And refuses nobody: what it says when it is tried again is no word on whoever
// waits meanwhile.
TEST(Backends, E103ADownOneRefusesNobodyByProxyHeader) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    options.settings.backend_identity = BackendIdentity::kProxy;
    options.settings.pool_mode = PoolMode::kSession;
    options.settings.backend_backoff_max = Settings::Seconds(1);
    options.sink.xclient = Xclient::kNone;
    options.sink.proxy_header = true;
    World* playing = nullptr;
    options.mischief =
        [&playing](const SinkMta::Event& event) -> std::optional<Misdeed> {
      if (event.verb != "CONNECT") return std::nullopt;
      // So that there is always somebody who waits.
      if (LastSink(*playing) == 0) return Delays(500ms);
      return Says("554 5.3.2 no service\r\n", /*close=*/true);
    };
    World world(std::move(options));
    playing = &world;
    for (int i = 0; i < 30; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.start_after = 5s + 200ms * i;
      plan.pause = 300ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 30; ++i) ExpectAllSent(world.client(i));
  });
}

// A crowd that the other one alone cannot serve is no reason not to look.
TEST(Backends, OneThatIsBackRelievesTheOther) {
  ForEachWorld(6, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    options.settings.backend_max_connections = 2 + static_cast<int>(number % 3);
    options.settings.backend_max_uses = 5;
    options.settings.backend_backoff_max = Settings::Seconds(1);
    options.mischief = At("DATA", Delays(100ms));
    World world(std::move(options));
    world.loop().set_refused(Sink(1), true);
    world.AtTime(2s, [&world] { world.loop().set_refused(Sink(1), false); });
    for (int i = 0; i < 20; ++i) {
      ClientPlan plan = MakeClient(i, 15);
      plan.start_after = 1s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 20; ++i) ExpectAllSent(world.client(i));
    EXPECT_GT(MailsOf(world, 1), 60);
  });
}

// An idle connection to one in trouble is held back while the other is dialled,
// and not for longer.
TEST(Backends, WhatIsIdleServesWhenNothingBetterCanBeHad) {
  ForEachWorld(8, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    options.sink.xclient = Xclient::kMany;
    World world(std::move(options));
    for (int i = 0; i < 11; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = i < 2 ? 1s : i < 10 ? 10s : 21s;
      world.AddClient(std::move(plan));
    }
    world.AtTime(5s, [&world] { world.loop().set_refused(Sink(0), true); });
    world.AtTime(20s, [&world] {
      world.loop().set_refused(Sink(1), true);
      world.loop().ResetConnectionsTo(Sink(1));
    });
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 11; ++i) ExpectAllSent(world.client(i));
    EXPECT_LT(world.client(10).ended_after(), 25s);
  });
}

// Many connections that fail together are one failure: the pause is short.
TEST(Backends, AShortOutageIsShortHoweverManyWait) {
  ForEachWorld(6, [](uint64_t number) {
    WorldOptions options = Several(1, number);
    options.settings.backend_warm_spares = 12;
    World world(std::move(options));
    world.loop().set_refused(Sink(0), true);
    world.AtTime(500ms, [&world] { world.loop().set_refused(Sink(0), false); });
    ClientPlan plan = MakeClient(0, 1);
    plan.start_after = 2s;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
  });
}

// By all workers together, however often they try.
TEST(Backends, AnOutageIsOneLineAndThenOneEachMinute) {
  for (const int workers : {1, 2}) {
    WorldOptions options;
    options.workers = workers;
    options.settings.backend_warm_spares = 1;
    options.settings.backend_backoff_max = Settings::Seconds(2);
    World world(std::move(options));
    world.loop().set_refused(Sink(0), true);
    world.AtTime(600s, [&world] { world.loop().set_refused(Sink(0), false); });
    for (int i = 0; i < 60; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.worker = i % workers;
      plan.start_after = 10s * i;
      world.AddClient(std::move(plan));
    }
    ClientPlan later = MakeClient(60, 1);
    later.start_after = 620s;
    world.AddClient(std::move(later));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(60));
    EXPECT_EQ(CountWords(world.log(), "warning: backend: "), 1);
    const int reminders = CountWords(world.log(), " is down for ");
    EXPECT_GE(reminders, 8);
    EXPECT_LE(reminders, 10);
    EXPECT_EQ(CountWords(world.log(), " answers again after "), 1);
  }
}

// It would be asked for a mail by itself, and ask itself, until no connection
// is left.
TEST(Backends, ItselfIsFoundOutAndNotUsed) {
  for (const bool session : {false, true}) {
    WorldOptions options;
    options.is_its_own_backend = true;
    options.settings.backend_warm_spares = 2;
    if (session) options.settings.pool_mode = PoolMode::kSession;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = 10s * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(world.client(i).results()[0].mail, 451);
    }
    EXPECT_TRUE(world.LogHas(
        "backend: 203.0.113.1:25: this is tlspost itself; set backend to the "
        "mail server's own address"));
    EXPECT_LE(world.most_slots_used(), 3);
    EXPECT_EQ(world.counters().leases, 0);
  }
}

TEST(Backends, AllDownIsSaidAtOnceAndEndsWithTheFirstThatIsBack) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) world.loop().set_refused(Sink(i), true);
    const int back = static_cast<int>(number % 2);
    world.AtTime(
        60s, [&world, back] { world.loop().set_refused(Sink(back), false); });
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = i < 2 ? 20s : 200s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(world.client(i).results()[0].mail, 451);
      EXPECT_LT(world.client(i).ended_after(), 20s + 31s);
    }
    for (int i = 2; i < 4; ++i) ExpectAllSent(world.client(i));
  });
}

// What a backend with 421s all day costs: nothing is lost, and most goes to
// the other one.
TEST(Backends, OneThatSays421IsPassedOver) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = Several(2, number);
    options.settings.backend_warm_spares = 2;
    World* playing = nullptr;
    options.mischief =
        [&playing](const SinkMta::Event& event) -> std::optional<Misdeed> {
      const bool is_mail = event.verb == "MAIL";
      if (!is_mail || LastSink(*playing) != 0) return std::nullopt;
      Misdeed misdeed;
      misdeed.reply = "421 4.3.2 overloaded\r\n";
      misdeed.close = true;
      return misdeed;
    };
    World world(std::move(options));
    playing = &world;
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 5);
      plan.start_after = 2s + 10s * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
    EXPECT_LE(MailsOf(world, 0), 4);
    EXPECT_GT(world.counters().backend_farewells, 0);
  });
}

// Whatever happens to one of two backends at whatever octet, for how long ever.
TEST(Backends, NothingIsLostWhenOneBreaksAnywhere) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd, Fault::kStall}) {
    const auto make = [] {
      Scene scene;
      scene.options = Several(2, 1);
      scene.options.settings.backend_warm_spares = 1;
      scene.clients = {MakeClient(0, 2), MakeClient(1, 2), MakeClient(2, 1)};
      return scene;
    };
    ForEachOctet(
        make, {Wire::kToBackend, Wire::kFromBackend}, fault,
        [](const World& world, Wire) {
          for (int i = 0; i < 3; ++i) ExpectAnswered(world.client(i));
        },
        /*stride=*/7);
  }
}

}  // namespace
}  // namespace tlspost::sim
