// Many handshakes at once: who is in a session already is served first.
//
// Each step of a handshake takes a millisecond of the simulation's time.

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <utility>

#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

constexpr int kHandshakes = 100;
constexpr int kNoops = 20;
constexpr io::Duration kStep = 1ms;

struct Played {
  io::Duration took;      // from the first NOOP of the live client to its end
  int64_t deferred_runs;  // steps of handshakes
};

// A client that says NOOP again and again while `handshakes` clients begin TLS
// all at once.
Played Play(int handshakes) {
  WorldOptions options;
  options.settings.client_connection_count_limit = 0;
  World world(std::move(options));
  world.loop().set_deferred_cost(kStep);
  ClientPlan live;
  live.start_after = 1s;
  for (int i = 0; i < kNoops; ++i) live.raw.push_back({"NOOP\r\n", 1});
  world.AddClient(std::move(live));
  for (int i = 0; i < handshakes; ++i) {
    ClientPlan plan = MakeClient(1 + i, 0);
    plan.tls = ClientTls::kTls13;
    plan.start_after = 1s;
    world.AddClient(std::move(plan));
  }
  // What has to be read before the world is taken down.
  Played played{};
  world.AtTime(60s,
               [&] { played.deferred_runs = world.loop().deferred_runs(); });
  ClientPlan last = MakeClient(kHandshakes + 1, 0);
  last.start_after = 61s;
  world.AddClient(std::move(last));
  EXPECT_EQ(world.Run(), "");
  played.took = world.client(0).ended_after() - 1s;
  for (int i = 1; i <= handshakes; ++i) {
    EXPECT_TRUE(world.client(static_cast<size_t>(i)).in_tls());
  }
  return played;
}

TEST(HandshakeQueue, LiveSessionsDoNotWaitForIt) {
  const Played alone = Play(0);
  EXPECT_EQ(alone.deferred_runs, 0);
  const Played beside = Play(kHandshakes);
  // The hello and the end of each.
  EXPECT_GE(beside.deferred_runs, 2 * kHandshakes);
  // All of them came at the same time as the live client, and would have been
  // in its way for 200 ms.
  EXPECT_EQ(beside.took, alone.took);
}

}  // namespace
}  // namespace tlspost::sim
