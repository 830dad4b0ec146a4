// Each way of telling a backend who the client is, with several clients and
// two backends: the ledger finds what was left out, left over or mixed up.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Misdeed = SinkMta::Misdeed;
using Xclient = SinkMta::Xclient;

constexpr std::string_view kPostfixList =
    "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";

struct Mode {
  std::string_view name;
  BackendIdentity identity;
  PoolMode pool;
  Xclient xclient;
  std::string_view attributes = kPostfixList;
  std::string_view denial = "550 5.7.0 Error: insufficient authorization";
};

// Those of protocol.md A1 and D. The lists are the MTAs' own.
constexpr Mode kModes[] = {
    {"Postfix, private listener", BackendIdentity::kXclient,
     PoolMode::kTransaction, Xclient::kMany},
    {"Postfix, one XCLIENT", BackendIdentity::kXclient, PoolMode::kTransaction,
     Xclient::kOnce},
    {"Postfix, session", BackendIdentity::kXclient, PoolMode::kSession,
     Xclient::kOnce},
    {"XFORWARD", BackendIdentity::kXforward, PoolMode::kTransaction,
     Xclient::kNone},
    {"XFORWARD, session", BackendIdentity::kXforward, PoolMode::kSession,
     Xclient::kNone},
    {"PROXY", BackendIdentity::kProxy, PoolMode::kSession, Xclient::kNone},
    {"nothing", BackendIdentity::kNone, PoolMode::kTransaction, Xclient::kMany},
    {"nothing, session", BackendIdentity::kNone, PoolMode::kSession,
     Xclient::kMany},
    {"Exim", BackendIdentity::kAuto, PoolMode::kTransaction, Xclient::kMany,
     "ADDR NAME PORT LOGIN DESTADDR DESTPORT"},
    {"Exim, session", BackendIdentity::kAuto, PoolMode::kSession,
     Xclient::kMany, "ADDR NAME PORT LOGIN DESTADDR DESTPORT"},
    {"Haraka", BackendIdentity::kAuto, PoolMode::kTransaction, Xclient::kOnce,
     "NAME ADDR PROTO HELO LOGIN", "550 5.5.0 Not authorized"},
    {"Dovecot", BackendIdentity::kAuto, PoolMode::kTransaction, Xclient::kOnce,
     "ADDR PORT PROTO HELO LOGIN", "550 5.7.14 You are not from trusted IP"},
    {"KumoMTA", BackendIdentity::kAuto, PoolMode::kTransaction, Xclient::kOnce,
     "ADDR PORT DESTADDR DESTPORT", "550 5.7.1 not permitted"},
};
constexpr size_t kModeCount = std::size(kModes);

WorldOptions InMode(const Mode& mode, uint64_t seed) {
  WorldOptions options;
  options.seed = seed;
  options.sinks = 2;
  options.settings.backend_identity = mode.identity;
  options.settings.pool_mode = mode.pool;
  options.settings.pool_wait_timeout = 1h;
  options.sink.xclient = mode.xclient;
  options.sink.xclient_attributes = std::string(mode.attributes);
  options.sink.xclient_denial = std::string(mode.denial);
  options.sink.xforward = mode.identity == BackendIdentity::kXforward;
  options.sink.proxy_header = mode.identity == BackendIdentity::kProxy;
  return options;
}

TEST(Identity, E101EachMailCarriesItsOwnClientsInEachMode) {
  ForEachWorld(kModeCount * 24, [](uint64_t number) {
    const Mode& mode = kModes[number % kModeCount];
    SCOPED_TRACE(mode.name);
    const uint64_t variant = number / kModeCount;
    WorldOptions options = InMode(mode, number);
    options.settings.backend_max_connections =
        1 + static_cast<int>(variant % 4);
    options.settings.backend_warm_spares = static_cast<int>(variant % 3);
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.esmtp = (variant + static_cast<uint64_t>(i)) % 5 != 0;
      plan.pause = ((variant >> i) % 2) * 40ms;
      plan.start_after = (variant % 3) * i * 30ms;
      if (i == 1) plan.address = "2001:db8::7";
      if (i == 2) plan.tls = ClientTls::kTls13;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 4; ++i) ExpectAllSent(world.client(i));
  });
}

// Whatever breaks, at whatever octet, on either side.
void BreakEverywhere(const Mode& mode, Fault fault, uint64_t stride) {
  SCOPED_TRACE(mode.name);
  const auto make = [&mode] {
    Scene scene;
    scene.options = InMode(mode, 1);
    scene.options.settings.backend_max_connections = 2;
    scene.clients = {MakeClient(0, 2), MakeClient(1, 2)};
    scene.clients[1].start_after = 40ms;
    return scene;
  };
  ForEachOctet(
      make, {Wire::kFromClient, Wire::kToBackend, Wire::kFromBackend}, fault,
      [](const World& world, Wire wire) {
        if (wire == Wire::kFromClient) ExpectAllSent(world.client(1));
      },
      stride);
}

TEST(Identity, NothingIsLostOrMixedWhenAConnectionIsReset) {
  for (const Mode& mode : kModes) BreakEverywhere(mode, Fault::kReset, 11);
}

TEST(Identity, NothingIsLostOrMixedWhenAConnectionEnds) {
  for (const Mode& mode : kModes) BreakEverywhere(mode, Fault::kEnd, 13);
}

TEST(Identity, NothingIsLostOrMixedWhenAConnectionStalls) {
  for (const Mode& mode : kModes) BreakEverywhere(mode, Fault::kStall, 29);
}

TEST(Identity, NothingIsLostOrMixedHoweverTheBytesAreCut) {
  for (const Mode& mode : kModes) BreakEverywhere(mode, Fault::kCut, 3);
}

// --- refusals ---------------------------------------------------------------

// The second client is refused: the first one's connection must not be its.
TEST(Identity, E098AndE107AnIdentityThatIsRefusedIsNeverLeftOut) {
  constexpr std::string_view kReplies[] = {
      "550 5.7.0 Error: insufficient authorization\r\n",
      "501 5.5.4 Bad \x1b[1mADDR syntax\r\n",
      "503 5.5.1 Error: MAIL transaction in progress\r\n", "250 2.0.0 Ok\r\n"};
  ForEachWorld(2 * 4 * 6, [&](uint64_t number) {
    const Mode& mode = kModes[number % 2 == 0 ? 0 : 3];
    const std::string_view reply = kReplies[number / 2 % 4];
    if (mode.identity == BackendIdentity::kXforward && reply[0] == '2') return;
    WorldOptions options = InMode(mode, number);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
      const bool is_sixth =
          event.line.find("ADDR=IPV6:2001:db8::7") != std::string_view::npos;
      if (!is_sixth) return std::nullopt;
      return Says(std::string(reply));
    };
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      if (i == 1) plan.address = "2001:db8::7";
      plan.pipelining = number % 3 != 0;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    ExpectAllSent(world.client(2));
    for (const MailResult& result : world.client(1).results()) {
      EXPECT_EQ(result.mail, 451);
    }
    EXPECT_TRUE(world.LogHas("refuses the identity of 2001:db8::7"));
    EXPECT_FALSE(world.LogHas("\x1b"));
  });
}

// A connection-level decision on the client, at XCLIENT or at the greeting.
TEST(Identity, E099TheBackendsWordOnAClientIsGivenToIt) {
  ForEachWorld(2 * 2 * 8, [](uint64_t number) {
    const Mode& mode = kModes[number % 2 == 0 ? 0 : 5];
    const bool leaves = number / 2 % 2 == 1;
    if (mode.identity != BackendIdentity::kProxy && leaves) return;
    WorldOptions options = InMode(mode, number);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
      const bool is_first =
          (event.verb == "XCLIENT" || event.verb == "CONNECT") &&
          event.line.find("192.0.2.10") != std::string_view::npos;
      if (!is_first) return std::nullopt;
      return Says(leaves ? "421 4.7.0 too many connections\r\n"
                         : "554-5.7.1 listed\r\n554 5.7.1 Access denied\r\n",
                  leaves);
    };
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) world.AddClient(MakeClient(i, 2));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    ExpectAllSent(world.client(2));
    for (const MailResult& result : world.client(0).results()) {
      EXPECT_EQ(result.mail, leaves ? 451 : 554);
    }
    // It is no fault of the backend, which others still use.
    EXPECT_FALSE(world.LogHas("next attempt"));
  });
}

// And one on its name, which is heard behind XCLIENT where that tells no HELO,
// and while it is not known yet whether it tells of many.
TEST(Identity, E099TheBackendsWordOnAClientsNameIsGivenToIt) {
  ForEachWorld(2 * 2 * 6, [](uint64_t number) {
    const Mode& mode = kModes[number % 2 == 0 ? 0 : 8];
    const bool leaves = number / 2 % 2 == 1;
    WorldOptions options = InMode(mode, number);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
      const bool is_first =
          event.verb == "EHLO" &&
          event.line.find("c0.example") != std::string_view::npos;
      if (!is_first) return std::nullopt;
      return Says(leaves ? "421 4.7.0 not now\r\n"
                         : "550 5.7.1 <c0.example>: Helo command rejected\r\n",
                  leaves);
    };
    World world(std::move(options));
    ClientPlan first = MakeClient(0, 2);
    ClientPlan second = MakeClient(1, 2);
    second.start_after = 10s;
    world.AddClient(std::move(first));
    world.AddClient(std::move(second));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    const std::vector<MailResult>& results = world.client(0).results();
    EXPECT_EQ(results[0].mail, leaves ? 451 : 550);
    if (mode.name == "Exim") {
      EXPECT_EQ(results[1].mail, leaves ? 451 : 550);
    }
    EXPECT_FALSE(world.LogHas("next attempt"));
  });
}

TEST(Identity, E100WithoutTheOfferNoMailPassesWhereItIsRequired) {
  const std::pair<BackendIdentity, bool> kCases[] = {
      {BackendIdentity::kXclient, false},
      {BackendIdentity::kXforward, false},
      {BackendIdentity::kAuto, true},
      {BackendIdentity::kNone, true},
  };
  ForEachWorld(4 * 2 * 5, [&](uint64_t number) {
    const auto [identity, passes] = kCases[number % 4];
    WorldOptions options;
    options.seed = number;
    options.settings.backend_identity = identity;
    if (number / 4 % 2 == 1) options.settings.pool_mode = PoolMode::kSession;
    options.sink.xclient = Xclient::kNone;
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) world.AddClient(MakeClient(i, 2));
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 2; ++i) {
      if (passes) {
        ExpectAllSent(world.client(i));
        continue;
      }
      for (const MailResult& result : world.client(i).results()) {
        EXPECT_EQ(result.mail, 451);
      }
    }
    EXPECT_EQ(world.LogHas("requires it"), !passes);
  });
}

// --- PROXY ------------------------------------------------------------------

TEST(ProxyIdentity, NoSparesAndOneConnectionPerClient) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = InMode(kModes[5], number);
    options.settings.backend_warm_spares = 3;
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.start_after = (number % 3) * i * 5s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 4; ++i) ExpectAllSent(world.client(i));
    // One for each client, and one to each backend that asks what it offers.
    EXPECT_LE(world.backend_connections(), 4 + 2);
    EXPECT_GE(world.counters().proxy_headers, 4);
  });
}

TEST(ProxyIdentity, WhoLeavesWhileItsConnectionIsOpenedLosesNothing) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = InMode(kModes[5], number);
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = 5s;
    options.mischief =
        [](const SinkMta::Event& event) -> std::optional<Misdeed> {
      if (event.verb != "CONNECT") return std::nullopt;
      Misdeed slow;
      slow.delay = 4s;
      slow.normal = true;
      return slow;
    };
    World world(std::move(options));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.start_after = 10s + number * 100ms * i;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAnswered(world.client(i));
  });
}

// What was announced of a client when it was in plaintext is not true any more.
TEST(ProxyIdentity, AConnectionFromBeforeStartTlsIsNotUsedUnderTls) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = InMode(kModes[5], number);
    options.settings.pool_wait_timeout = 2s;
    options.sinks = 1;  // no rival of the slow one
    auto slowed = std::make_shared<bool>(false);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
      const bool is_first = event.verb == "CONNECT" && !event.line.empty() &&
                            !std::exchange(*slowed, true);
      if (!is_first) return std::nullopt;
      Misdeed slow;
      slow.delay = 2500ms + number * 10ms;
      slow.normal = true;
      return slow;
    };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.start_after = 1s;
    plan.tls = ClientTls::kTls13;
    plan.before_starttls = {{"MAIL FROM:<x@c0.example>\r\n", 1}};
    // It begins with a mail when the slow connection is about to be there.
    plan.raw = {{"NOOP\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_TRUE(world.client(0).replies()[2].starts_with("451"));
    ExpectAllSent(world.client(0));
  });
}

// A client with many sessions does not have all its connections opened before
// another one's first.
TEST(ProxyIdentity, E097ClientsTakeTurnsWhenConnectionsAreOpened) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = InMode(kModes[5], number);
    options.settings.backend_max_connections = 2;
    options.settings.pool_wait_timeout = 1h;
    World world(std::move(options));
    for (int i = 0; i < 12; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.address = i == 11 ? "192.0.2.200" : "192.0.2.100";
      // The first two have the connections from the third second on.
      plan.start_after = 4500ms + (i == 11 ? 300ms : 10ms * i);
      if (i < 2) plan.start_after = plan.pause = 1s;
      plan.pipelining = i >= 2;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    const auto& accepted = world.ledger().accepted();
    ASSERT_EQ(accepted.size(), 12u);
    std::string order;
    for (size_t i = 0; i < 5; ++i) order += accepted[i].sender + " ";
    EXPECT_NE(order.find("@c11.example"), std::string::npos) << order;
  });
}

TEST(ProxyIdentity, ANameThatChangesIsToldByEhlo) {
  ForEachWorld(20, [](uint64_t number) {
    World world(InMode(kModes[5], number));
    ClientPlan plan = MakeClient(0, 2);
    plan.helo = "later.example";
    plan.raw = {{"EHLO first.example\r\n", 1},
                {"MAIL FROM:<x@c0.example>\r\n", 1},
                {"EHLO later.example\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_NE(world.backend_dialogue().find("EHLO first.example"),
              std::string::npos);
  });
}

}  // namespace
}  // namespace tlspost::sim
