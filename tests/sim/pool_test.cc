// The life of the pool: limits, spares, two workers, and the way out.

#include <gtest/gtest.h>

#include <chrono>
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

// --- how long a connection lives ---------------------------------------------

WorldOptions ForReuse(uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.settings.backend_max_connections = 1;
  options.settings.pool_wait_timeout = 1h;
  return options;
}

TEST(Pool, ReusesOneConnectionForAllClients) {
  ForEachWorld(20, [](uint64_t number) {
    World world(ForReuse(number));
    for (int i = 0; i < 5; ++i) world.AddClient(MakeClient(i, 2));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.backend_connections(), 1);
    EXPECT_EQ(world.counters().leases, 10);
  });
}

TEST(Pool, RetiresAConnectionAfterItsUses) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.settings.backend_max_uses = 3;
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) world.AddClient(MakeClient(i, 3));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.backend_connections(), 4);
  });
}

TEST(Pool, RetiresAConnectionAtItsAgeAndWhenIdle) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    const bool by_age = number % 2 == 0;
    if (by_age) options.settings.backend_max_age = Settings::Seconds(100);
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = (by_age ? 45s : 120s) * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.backend_connections(), by_age ? 2 : 4);
  });
}

// Finding 5: the errors of one client do not count against another.
TEST(Pool, E102RetiresAConnectionAfterItsErrors) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.settings.backend_max_errors = 4;
    options.mischief =
        [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RCPT") return std::nullopt;
      SinkMta::Misdeed refusal;
      refusal.reply = "550 5.1.1 No such user\r\n";
      return refusal;
    };
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.pipelining = false;
      plan.mails[0] = MakeMail(i, 0, /*recipients=*/2);
      plan.start_after = 1s * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.backend_connections(), 3);
  });
}

TEST(Pool, ASingleUseBackendGetsAConnectionPerClient) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.sink.xclient = Xclient::kOnce;
    options.settings.backend_max_connections = 1 + static_cast<int>(number % 3);
    options.settings.backend_warm_spares = static_cast<int>(number % 4);
    World world(std::move(options));
    for (int i = 0; i < 5; ++i) world.AddClient(MakeClient(i, 2));
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 5; ++i) ExpectAllSent(world.client(i));
    EXPECT_GE(world.backend_connections(), 5);
    EXPECT_TRUE(world.LogHas("takes one XCLIENT per connection"));
  });
}

TEST(Pool, SaysThatABackendHearsOfNoClient) {
  ForEachWorld(10, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.sink.xclient = Xclient::kNone;
    const bool meant = number % 2 == 0;
    if (meant) options.settings.backend_identity = BackendIdentity::kNone;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) world.AddClient(MakeClient(i, 2));
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
    EXPECT_EQ(world.LogHas("offers no XCLIENT"), !meant);
  });
}

// It takes no HELO in XCLIENT, so it hears one after each; and a reply to HELO
// lists nothing, XCLIENT neither.
TEST(Pool, AReplyToHeloSaysNothingOfReuse) {
  ForEachWorld(10, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.sink.xclient_attributes = "NAME ADDR PROTO PORT";
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.esmtp = i % 2 != 0;
      plan.start_after = i * 10s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.backend_connections(), 1);
    EXPECT_FALSE(world.LogHas("takes one XCLIENT per connection"));
  });
}

// The connection that is opened to learn what the backend offers does for the
// first client as well.
TEST(Pool, TheFirstClientNeedsNoConnectionBesideTheFirst) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.settings.backend_max_connections = 10;
    options.settings.backend_warm_spares = 0;
    options.mischief = At("CONNECT", Delays(10s));
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

TEST(Pool, KeepsWarmSpares) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.settings.backend_max_connections = 10;
    options.settings.backend_warm_spares = 3;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.start_after = 10s;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_GE(world.backend_connections(), 3);
    EXPECT_LE(world.backend_connections(), 4);
  });
}

// An idle connection is closed by us when its time comes, with a QUIT.
TEST(Pool, SaysQuitToWhatItRetires) {
  ForEachWorld(10, [](uint64_t number) {
    World world(ForReuse(number));
    world.AddClient(MakeClient(0, 1));
    EXPECT_EQ(world.Run(), "");
    EXPECT_NE(world.backend_dialogue().find("QUIT"), std::string::npos);
  });
}

// --- two workers -------------------------------------------------------------

TEST(Workers, FewerSlotsThanWorkersStarveNobody) {
  ForEachWorld(90, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.workers = 2 + static_cast<int>(number % 2);
    options.sink.xclient = kXclients[number % 3];
    options.settings.backend_warm_spares = static_cast<int>(number % 3);
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.worker = i % 2;
      plan.start_after = (number % 5) * i * 10ms;
      plan.pause = (number % 4) * 5ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 6; ++i) ExpectAllSent(world.client(i));
    EXPECT_EQ(world.most_slots_used(), 1);
  });
}

// At once, and not when the pool next looks after itself.
TEST(Workers, AFreedSlotIsPassedOnAtOnce) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.workers = 2;
    options.sink.xclient = kXclients[number % 3];
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.worker = i % 2;
      plan.start_after = 10s + 100ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 6; ++i) {
      ExpectAllSent(world.client(i));
      EXPECT_LT(world.client(i).ended_after(), 10s + 900ms);
    }
  });
}

// Not for ever either: within a time that has nothing to do with idle limits.
TEST(Workers, AnIdleConnectionOfOneIsGivenUpForTheOther) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.workers = 2;
    options.settings.backend_idle_timeout = Settings::Hours(1);
    options.settings.pool_wait_timeout = Settings::Seconds(10);
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.worker = i % 2;
      plan.start_after = 60s * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 6; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(Workers, ABusyWorkerLeavesTheOtherItsShare) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options = ForReuse(number);
    options.workers = 2;
    options.settings.backend_max_connections = 2;
    options.settings.pool_wait_timeout = Settings::Seconds(30);
    options.sink.xclient = kXclients[number % 3];
    World world(std::move(options));
    // Eight that keep the first worker busy, one of the second in between.
    for (int i = 0; i < 8; ++i) {
      ClientPlan plan = MakeClient(i, 12);
      plan.pause = 100ms;
      world.AddClient(std::move(plan));
    }
    ClientPlan rare = MakeClient(8, 3);
    rare.worker = 1;
    rare.start_after = 2s;
    world.AddClient(std::move(rare));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(8));
  });
}

// Postfix has stress mode for it.
TEST(Waiting, WhoHoldsAConnectionAndSaysNothingIsInTheWay) {
  for (const int workers : {1, 2}) {
    WorldOptions options;
    options.workers = workers;
    options.settings.backend_max_connections = 2;
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan holder = Saying({"MAIL FROM:<a@b.example>"});
      holder.worker = i % workers;
      holder.says_quit = false;
      holder.stays = 1h;
      world.AddClient(std::move(holder));
    }
    ClientPlan plan = MakeClient(2, 1);
    plan.start_after = 60s;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(2));
    EXPECT_LT(world.client(2).ended_after(), 60s + 15s);
  }
}

// With nobody behind them they have their time.
TEST(Waiting, WhoIsInNobodysWayMayThinkForLong) {
  WorldOptions options;
  options.settings.backend_max_connections = 1;
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 1);
  plan.pipelining = false;
  plan.pause = 100s;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

// --- the way out ------------------------------------------------------------

TEST(Drain, AtAnyStepLosesNothing) {
  ForEachWorld(Scaled(400), [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.workers = 1 + static_cast<int>(number % 2);
    options.sink.xclient = kXclients[number % 3];
    options.settings.backend_max_connections =
        1 + static_cast<int>(number / 2 % 3);
    options.settings.backend_warm_spares = static_cast<int>(number % 3);
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.worker = i % (1 + static_cast<int>(number % 2));
      if (i == 1) plan.tls = ClientTls::kTls13;
      plan.pipelining = i != 2;
      world.AddClient(std::move(plan));
    }
    world.AtStep(static_cast<int64_t>(number) * 2, [&world] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
    // What had begun has ended in time: nobody is cut off.
    EXPECT_FALSE(world.LogHas("sessions are cut off"));
    for (int i = 0; i < 4; ++i) {
      for (const MailResult& result : world.client(i).results()) {
        // Whoever got 354 hears what became of the message.
        if (result.data == 354) {
          EXPECT_EQ(result.final_code, 250);
        }
      }
    }
  });
}

TEST(Drain, WaitsForTransactionsThatTakeTheirTime) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 3);
    plan.pipelining = number % 2 == 0;
    plan.pause = 2s;
    world.AddClient(std::move(plan));
    world.AtTime(500ms * number, [&world] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
    for (const MailResult& result : world.client(0).results()) {
      if (result.mail != 250) continue;
      EXPECT_EQ(result.final_code, 250);
    }
    EXPECT_FALSE(world.LogHas("sessions are cut off"));
  });
}

TEST(Drain, CutsOffWhoDoesNotFinish) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.stop_after = 15 + number * 6;
      plan.stop = Stop::kStall;
      if (i == 1) plan.tls = ClientTls::kTls13;
      world.AddClient(std::move(plan));
    }
    world.AtTime(20s, [&world] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
  });
}

TEST(Drain, WhileTheBackendIsStuckOrDown) {
  ForEachWorld(120, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_warm_spares = static_cast<int>(number % 3);
    if (number % 2 == 0) {
      ConnectionFaults faults;
      faults.to_client.stall_after = number * 6;
      options.backend_faults = [=](int) { return faults; };
    }
    World world(std::move(options));
    if (number % 4 == 1) world.RestartBackend(1h);
    for (int i = 0; i < 3; ++i) world.AddClient(MakeClient(i, 2));
    world.AtTime(100ms * (number % 16), [&world] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
  });
}

// Clients that come in the very turn of the drain.
TEST(Drain, TurnsAwayWhoComesAtThatMoment) {
  ForEachWorld(300, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = 1s;
      world.AddClient(std::move(plan));
    }
    world.AtStep(static_cast<int64_t>(number % 30),
                 [&world] { world.AtTime(1s, [&world] { world.Drain(); }); });
    EXPECT_EQ(world.Run(), "");
  });
}

TEST(Limits, MoreThanMaxConnectionsHear421) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.max_connections = 2;
    World world(std::move(options));
    for (int i = 0; i < 5; ++i) world.AddClient(MakeClient(i, 1));
    EXPECT_EQ(world.Run(), "");
    int sent = 0;
    for (int i = 0; i < 5; ++i) {
      if (world.client(i).results()[0].final_code == 250) {
        ++sent;
      } else {
        ASSERT_EQ(world.client(i).replies().size(), 1u);
        EXPECT_TRUE(world.client(i).replies()[0].starts_with("421 4.7.0"));
      }
    }
    EXPECT_GE(sent, 2);
  });
}

}  // namespace
}  // namespace tlspost::sim
