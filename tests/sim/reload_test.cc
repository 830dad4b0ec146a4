// Other settings while everything runs: who keeps what, and that nothing is
// lost or mixed whenever they come.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/plans.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// --- at any moment ----------------------------------------------------------

TEST(Reload, AtAnyStepLosesNothing) {
  ForEachWorld(Scaled(200), [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.workers = 1 + static_cast<int>(number % 2);
    options.sinks = 1 + static_cast<int>(number % 3);
    options.settings.backend_max_connections = 2;
    options.settings.pool_wait_timeout = 1h;
    options.settings.backend_warm_spares = static_cast<int>(number % 2);
    Settings settings = options.settings;
    // Every second time it is something that connections are opened with.
    if (number % 4 < 2) settings.hostname = "mx2.example";
    settings.backend_max_connections = 1 + static_cast<int>(number / 2 % 2);
    settings.command_timeout = Settings::Seconds(60);
    const int workers = options.workers;
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.worker = i % workers;
      if (i % 2 == 0) plan.tls = ClientTls::kTls13;
      world.AddClient(std::move(plan));
    }
    world.AtStep(static_cast<int64_t>(number) * 6,
                 [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 4; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(Reload, OfTheIdentityAtAnyStepMixesNobody) {
  ForEachWorld(Scaled(600), [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.identity_changes = true;
    options.sink.xforward = true;
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    constexpr BackendIdentity kBefore[] = {BackendIdentity::kAuto,
                                           BackendIdentity::kNone,
                                           BackendIdentity::kXclient};
    constexpr BackendIdentity kAfter[] = {BackendIdentity::kNone,
                                          BackendIdentity::kAuto,
                                          BackendIdentity::kXforward};
    options.settings.backend_identity = kBefore[number % 3];
    Settings settings = options.settings;
    settings.backend_identity = kAfter[number % 3];
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) world.AddClient(MakeClient(i, 3));
    world.AtStep(static_cast<int64_t>(number), [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(Reload, ToProxyIdentityAndBackAtAnyStepIsHarmless) {
  ForEachWorld(Scaled(300), [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.identity_changes = true;
    options.settings.backend_max_connections = 2;
    options.settings.pool_wait_timeout = 20s;
    Settings proxy = options.settings;
    proxy.backend_identity = BackendIdentity::kProxy;
    proxy.pool_mode = PoolMode::kSession;
    const Settings before = options.settings;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) world.AddClient(MakeClient(i, 2));
    world.AtStep(static_cast<int64_t>(number), [&] { world.Reload(proxy); });
    world.AtTime(5s, [&] { world.Reload(before); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 3; ++i) ExpectAnswered(world.client(i));
  });
}

// --- who keeps what ---------------------------------------------------------

TEST(Reload, ASessionKeepsWhatItBeganWith) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    Settings settings = options.settings;
    settings.hostname = "after.example";
    settings.disable_vrfy_command = true;
    World world(std::move(options));
    world.AddClient(Saying({"VRFY a", "VRFY a", "VRFY a"}, 2s));
    ClientPlan later = Saying({"VRFY a"}, 0s);
    later.start_after = 5s;
    world.AddClient(std::move(later));
    world.AtTime(4s, [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    const SimClient& first = world.client(0);
    EXPECT_TRUE(HasHeard(first, "220 mx.example"));
    EXPECT_TRUE(HasHeard(first, "252 "));
    EXPECT_FALSE(HasHeard(first, "502 "));
    EXPECT_FALSE(HasHeard(first, "after.example"));
    const SimClient& second = world.client(1);
    EXPECT_TRUE(HasHeard(second, "220 after.example"));
    EXPECT_TRUE(HasHeard(second, "502 "));
  });
}

TEST(Reload, OfTheLevelMeansNewClientsOnly) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    Settings settings = options.settings;
    settings.tls_security_level = TlsSecurityLevel::kEncrypt;
    World world(std::move(options));
    ClientPlan before = MakeClient(0, 2);
    before.pause = 1s;
    world.AddClient(std::move(before));
    ClientPlan after = MakeClient(1, 1);
    after.start_after = 3s;
    world.AddClient(std::move(after));
    world.AtTime(2s, [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(1).results()[0].mail, 530);
  });
}

TEST(Reload, WhoHasComeToAnAddressThatIsRemovedIsServed) {
  int served = 0;
  int refused = 0;
  ForEachWorld(Scaled(100), [&](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    ListenerRule rule;
    rule.addresses = {"0.0.0.0:587"};
    rule.changes = {{"recipient_limit", {"7"}}};
    options.settings.listeners = {rule};
    options.terms = 1;
    Settings settings = options.settings;
    settings.listeners.clear();
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.start_after = 1s;
      world.AddClient(std::move(plan));
    }
    world.AtTime(1s, [&world, settings, number] {
      world.AtStep(world.loop().steps() + static_cast<int64_t>(number % 25),
                   [&world, settings] {
                     world.Reload(settings, {}, /*listens=*/false);
                   });
    });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 3; ++i) {
      const SimClient& client = world.client(i);
      ++(client.replies().empty() ? refused : served);
      if (!client.replies().empty()) ExpectAllSent(client);
    }
  });
  EXPECT_GT(served, 0);
  EXPECT_GT(refused, 0);
}

// --- limits ----------------------------------------------------------------

TEST(Reload, FewerBackendConnectionsThanThereAre) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.workers = 2;
    options.settings.backend_max_connections = 6;
    options.settings.backend_warm_spares = 3;
    options.settings.pool_wait_timeout = 1h;
    Settings settings = options.settings;
    settings.backend_max_connections = 1;
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 4);
      plan.worker = i % 2;
      plan.pause = 200ms;
      world.AddClient(std::move(plan));
    }
    int before = 0;
    int after = 0;
    world.AtTime(2s, [&] {
      before = world.slots_used();
      world.Reload(settings);
    });
    // Transactions that were open have had their time.
    world.AtTime(12s, [&] { after = world.slots_used(); });
    EXPECT_EQ(world.Run(), "");
    EXPECT_GT(before, 1);
    EXPECT_LE(after, 1);
    for (size_t i = 0; i < 6; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(Reload, MoreBackendConnectionsForThoseWhoWait) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 30s;
    Settings settings = options.settings;
    settings.backend_max_connections = 2;
    World world(std::move(options));
    // Has the one connection for long.
    ClientPlan slow = MakeClient(0, 1);
    slow.pause = 20s;
    world.AddClient(std::move(slow));
    ClientPlan quick = MakeClient(1, 1);
    quick.start_after = 70s;
    world.AddClient(std::move(quick));
    world.AtTime(80s, [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    ExpectAllSent(world.client(1));
    EXPECT_LT(world.client(1).ended_after(), 82s);
  });
}

TEST(Reload, FewerClientsThanThereAre) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.max_connections = 100;
    Settings settings = options.settings;
    settings.max_connections = 2;
    World world(std::move(options));
    for (int i = 0; i < 5; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.pause = 1s;
      world.AddClient(std::move(plan));
    }
    ClientPlan late = MakeClient(5, 1);
    late.start_after = 4s;
    world.AddClient(std::move(late));
    world.AtTime(3s, [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 5; ++i) ExpectAllSent(world.client(i));
    EXPECT_TRUE(HasHeard(world.client(5), "421 4.7.0"));
  });
}

TEST(Reload, OfALimitForEachClientHoldsForTheNextConnection) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    Settings settings = options.settings;
    settings.client_connection_count_limit = 1;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.address = "192.0.2.99";
      plan.pause = 1s;
      if (i == 2) plan.start_after = 4s;
      world.AddClient(std::move(plan));
    }
    world.AtTime(3s, [&] { world.Reload(settings); });
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    ExpectAllSent(world.client(1));
    EXPECT_TRUE(HasHeard(world.client(2), "421 4.7.0"));
  });
}

// --- backends ----------------------------------------------------------------

int MailsTo(const World& world, int sink) {
  int count = 0;
  const std::string begin = "\n" + std::to_string(sink) + "-";
  const std::string text = "\n" + world.backend_dialogue();
  for (size_t at = text.find(begin); at != std::string::npos;
       at = text.find(begin, at + 1)) {
    const size_t end = text.find('\n', at + 1);
    if (text.substr(at, end - at).find(" MAIL ") != std::string::npos) ++count;
  }
  return count;
}

TEST(Reload, ARemovedBackendEndsWhatItHasAndGetsNothingNew) {
  ForEachWorld(100, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sinks = 2;
    options.settings.pool_wait_timeout = 1h;
    options.settings.backend_warm_spares = 2;
    const Settings settings = options.settings;
    World world(std::move(options));
    for (int i = 0; i < 6; ++i) {
      ClientPlan plan = MakeClient(i, 4);
      plan.pause = 20ms;
      world.AddClient(std::move(plan));
    }
    int before = 0;
    world.AtTime(150ms + 1ms * (number % 25), [&] {
      world.Reload(settings, {1});
      before = MailsTo(world, 0);
    });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 6; ++i) ExpectAllSent(world.client(i));
    // A MAIL that was on its way then.
    EXPECT_LE(MailsTo(world, 0), before + 6);
    EXPECT_GT(MailsTo(world, 1), MailsTo(world, 0));
    EXPECT_GT(CountWords(world.backend_dialogue(), "0-0 QUIT"), 0)
        << world.backend_dialogue();
  });
}

// Also for who has a connection of his own: it is for one mail more at most.
TEST(Reload, ARemovedBackendIsLeftInSessionModeToo) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sinks = 2;
    options.settings.pool_mode = PoolMode::kSession;
    options.settings.pool_wait_timeout = 1h;
    const Settings settings = options.settings;
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 12);
      plan.pause = 20ms;
      world.AddClient(std::move(plan));
    }
    int before = 0;
    world.AtTime(300ms + 1ms * (number % 25), [&] {
      world.Reload(settings, {1});
      before = MailsTo(world, 0);
    });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 2; ++i) ExpectAllSent(world.client(i));
    EXPECT_GT(before, 0);
    EXPECT_LE(MailsTo(world, 0), before + 2);
  });
}

TEST(Reload, ABackendThatIsDownIsReplacedForThoseWhoWait) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sinks = 2;
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    // The connection to the first one hangs and has the only slot.
    options.settings.backend_connect_timeout = 600s;
    options.backend_faults = [](int connection) {
      ConnectionFaults faults;
      if (connection == 0) faults.to_client.stall_after = 0;
      return faults;
    };
    const Settings settings = options.settings;
    World world(std::move(options));
    world.Reload(settings, {0});
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = 1s;
      world.AddClient(std::move(plan));
    }
    world.AtTime(10s, [&] { world.Reload(settings, {1}); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 2; ++i) {
      ExpectAllSent(world.client(i));
      EXPECT_LT(world.client(i).ended_after(), 20s);
    }
    EXPECT_EQ(MailsTo(world, 0), 0);
  });
}

TEST(Reload, ABackendThatStaysKeepsItsConnections) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 1h;
    Settings settings = options.settings;
    settings.recipient_limit = 5;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) world.AddClient(MakeClient(i, 3));
    for (int i = 1; i < 20; ++i) {
      world.AtStep(i * 20, [&] { world.Reload(settings); });
    }
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

// --- the ways to part -------------------------------------------------------

TEST(Parting, WhenAnotherServesClientsGoOnAsBefore) {
  ForEachWorld(Scaled(200), [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.tls = ClientTls::kTls13;
      plan.pause = 100ms;
      world.AddClient(std::move(plan));
    }
    // From the third on all three are connected.
    world.AtStep(100 + static_cast<int64_t>(number),
                 [&] { world.Drain(Parting::kWhenDone); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 3; ++i) {
      ExpectAllSent(world.client(i));
      EXPECT_FALSE(HasHeard(world.client(i), "421"));
    }
  });
}

TEST(Parting, WhenAnotherServesWhoStaysHears421HalfWay) {
  WorldOptions options;
  options.settings.drain_timeout = 20s;
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 1);
  plan.stays = 1h;
  world.AddClient(std::move(plan));
  world.AtTime(5s, [&] { world.Drain(Parting::kWhenDone); });
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(HasHeard(world.client(0), "421 4.3.2"));
  EXPECT_FALSE(world.LogHas("are cut off"));
}

TEST(Parting, BehindItsFirstMailAClientHears421) {
  ForEachWorld(Scaled(60), [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 40);
      plan.tls = ClientTls::kTls13;
      plan.pause = 20ms;
      world.AddClient(std::move(plan));
    }
    world.AtStep(100 + 15 * static_cast<int64_t>(number),
                 [&] { world.Drain(Parting::kBehindFirstMail); });
    EXPECT_EQ(world.Run(), "");
    for (size_t i = 0; i < 3; ++i) {
      const SimClient& client = world.client(i);
      EXPECT_EQ(client.results()[0].final_code, 250);
      EXPECT_TRUE(HasHeard(client, "421 4.3.2"));
    }
  });
}

TEST(Parting, MoreHasteMayBeAskedForMeanwhile) {
  WorldOptions options;
  options.settings.drain_timeout = 600s;
  World world(std::move(options));
  world.AddClient(Saying(std::vector<std::string>(20, "NOOP"), 4s));
  world.AtTime(5s, [&] { world.Drain(Parting::kWhenDone); });
  world.AtTime(14s, [&] { world.Drain(); });
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(HasHeard(world.client(0), "421 4.3.2"));
  EXPECT_GT(world.client(0).ended_after(), 13s);
  EXPECT_LT(world.client(0).ended_after(), 20s);
}

// Also those that have not been greeted yet.
TEST(Parting, HasteReachesWhoHasJustCome) {
  for (const int wait : {60, 8}) {
    WorldOptions options;
    options.settings.drain_timeout = 600s;
    options.settings.greet_wait = Settings::Seconds(wait);
    World world(std::move(options));
    ClientPlan plan = Saying(std::vector<std::string>(20, "NOOP"), 4s);
    plan.start_after = 1s;
    world.AddClient(std::move(plan));
    world.AtTime(5s, [&] { world.Drain(Parting::kWhenDone); });
    world.AtTime(7s, [&] { world.Drain(); });
    EXPECT_EQ(world.Run(), "");
    EXPECT_LT(world.client(0).ended_after(), 10s);
  }
}

}  // namespace
}  // namespace tlspost::sim
