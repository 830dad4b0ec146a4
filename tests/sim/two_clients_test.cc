// The minimum world: two clients that share one backend connection.
//
// What the first leaves behind, the second would meet: a transaction half
// open, a reply unread, an identity not its own.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tests/sim/faults.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Xclient = SinkMta::Xclient;

WorldOptions OneSlot(uint64_t seed, Xclient xclient) {
  WorldOptions options;
  options.seed = seed;
  options.settings.backend_max_connections = 1;
  options.settings.pool_wait_timeout = 1h;
  options.sink.xclient = xclient;
  return options;
}

// The octets a client of two mails sends.
constexpr uint64_t kLongest = 420;

TEST(TwoClients, TheSecondIsServedAfterTheFirstStopsAtAnyOctet) {
  for (const Xclient xclient : kXclients) {
    for (const Stop stop : {Stop::kVanish, Stop::kHalfClose, Stop::kStall}) {
      const uint64_t stride = stop == Stop::kVanish ? 1 : 3;
      ForEachWorld(kLongest / stride, [&](uint64_t world_number) {
        const uint64_t number = world_number * stride;
        WorldOptions options = OneSlot(number, xclient);
        options.sink.pipelining = number % 3 != 0;
        World world(std::move(options));
        ClientPlan first = MakeClient(0, 2);
        first.stop_after = number;
        first.stop = stop;
        first.pipelining = number % 2 == 0;
        world.AddClient(std::move(first));
        ClientPlan second = MakeClient(1, 2);
        second.start_after = (number % 5) * 20ms;
        world.AddClient(std::move(second));
        EXPECT_EQ(world.Run(), "");
        ExpectAllSent(world.client(1));
      });
    }
  }
}

TEST(TwoClients, TheSecondIsServedAfterTheFirstIsResetAtAnyOctet) {
  for (const Xclient xclient : kXclients) {
    for (const ClientTls tls : {ClientTls::kNone, ClientTls::kTls13}) {
      const auto make = [=] {
        Scene scene;
        scene.options = OneSlot(0, xclient);
        scene.clients = {MakeClient(0, 1), MakeClient(1, 1)};
        scene.clients[0].tls = tls;
        scene.clients[1].start_after = 32ms;
        return scene;
      };
      ForEachOctet(
          make, {Wire::kFromClient, Wire::kToClient}, Fault::kReset,
          [](const World& world, Wire) { ExpectAllSent(world.client(1)); },
          /*stride=*/5);
    }
  }
}

TEST(TwoClients, EachMailCarriesItsOwnIdentity) {
  ForEachWorld(240, [](uint64_t number) {
    World world(OneSlot(number, kXclients[number % 3]));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.esmtp = (number / 3 + static_cast<uint64_t>(i)) % 4 != 0;
      plan.pause = ((number >> i) % 2) * 40ms;
      if (i == 1) plan.address = "2001:db8::7";
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
    if (number % 3 != 2) {
      EXPECT_EQ(world.backend_connections(), 1);
    }
  });
}

// A client of the same address and name, but another port: another client.
TEST(TwoClients, TheSameHostTwiceIsTwoIdentities) {
  ForEachWorld(60, [](uint64_t number) {
    World world(OneSlot(number, kXclients[number % 3]));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.address = "192.0.2.77";
      plan.helo = "twins.example";
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 2; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(TwoClients, ARefusedRecipientOfOneIsNoneOfTheOther) {
  ForEachWorld(120, [](uint64_t number) {
    WorldOptions options = OneSlot(number, kXclients[number % 3]);
    options.mischief =
        [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RCPT" ||
          event.line.find("@c0.example") == std::string_view::npos) {
        return std::nullopt;
      }
      SinkMta::Misdeed refusal;
      refusal.reply = "550-5.1.1 No such user\r\n550 5.1.1 here\r\n";
      return refusal;
    };
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.mails[0] = MakeMail(i, 0, /*recipients=*/3);
      plan.pipelining = (number >> i) % 2 == 0;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    for (const MailResult& result : world.client(0).results()) {
      for (const int code : result.recipients) EXPECT_EQ(code, 550);
      EXPECT_EQ(result.final_code, 0);
    }
  });
}

// Edge 105: the server says more than was asked, to the first client; the
// second, which waits for the connection, hears none of it.
TEST(TwoClients, E105AReplyTooManyIsNotTheNextClients) {
  constexpr std::string_view kVerbs[] = {".", "RSET", "DATA", "RCPT"};
  ForEachWorld(3 * 4 * 10, [&](uint64_t number) {
    WorldOptions options = OneSlot(number, kXclients[number % 3]);
    const std::string_view verb = kVerbs[number / 3 % 4];
    auto is_first = std::make_shared<bool>(false);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb == "MAIL") {
        *is_first = event.line.find("@c0.") != std::string_view::npos;
      }
      if (event.verb != verb || !*is_first) return std::nullopt;
      SinkMta::Misdeed misdeed;
      misdeed.reply = "550 5.0.0 for c0\r\n550 5.0.0 more for c0\r\n";
      return misdeed;
    };
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.pipelining = (number >> i) % 2 == 0;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    for (const std::string& reply : world.client(1).replies()) {
      EXPECT_EQ(reply.find("for c0"), std::string::npos) << reply;
    }
  });
}

TEST(TwoClients, E097NobodyStarvesWhenManyWaitForOneSlot) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = OneSlot(number, kXclients[number % 3]);
    World world(std::move(options));
    for (int i = 0; i < 8; ++i) {
      ClientPlan plan = MakeClient(i, 3);
      plan.start_after = (number % 4) * i * 10ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 8; ++i) ExpectAllSent(world.client(i));
    EXPECT_EQ(world.most_slots_used(), 1);
  });
}

TEST(TwoClients, E097WhoWaitsTooLongHearsThatTheServerIsBusy) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = OneSlot(number, kXclients[number % 3]);
    options.settings.pool_wait_timeout = 3s;
    World world(std::move(options));
    ClientPlan slow = MakeClient(0, 1);
    slow.pipelining = false;
    slow.pause = 8s;  // it holds the connection for longer than that
    world.AddClient(std::move(slow));
    ClientPlan second = MakeClient(1, 1);
    second.start_after = 17s + (number % 10) * 100ms;
    world.AddClient(std::move(second));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(1).results()[0].mail, 451);
  });
}

}  // namespace
}  // namespace tlspost::sim
