// How a conversation begins: greetings in every form (protocol edges 2 to 8),
// and clocks that are set meanwhile.

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/replay.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""h;
using std::chrono_literals::operator""s;

constexpr uint64_t kWorlds = 10;

// What one client hears that says `lines` behind our greeting, one by one.
std::vector<std::string> Answers(uint64_t seed,
                                 const std::vector<std::string>& lines,
                                 Settings settings = Settings()) {
  WorldOptions options;
  options.seed = seed;
  options.settings.helo_required = settings.helo_required;
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 0);
  plan.says_hello = false;
  plan.says_quit = false;
  plan.start_after = 1s;  // the backend is known by then
  for (const std::string& line : lines) plan.raw.push_back({line + "\r\n", 1});
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  std::vector<std::string> replies = world.client(0).replies();
  EXPECT_GT(replies.size(), lines.size());
  replies.erase(replies.begin());
  replies.resize(lines.size());
  return replies;
}

TEST(Greeting, E002MailBeforeEhloIsRefusedUnlessItIsAllowed) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    const std::vector<std::string> lines = {"MAIL FROM:<a@c0.example>", "RSET"};
    EXPECT_EQ(Answers(number, lines)[0],
              "503 5.5.1 Error: send HELO/EHLO first\r\n");
    Settings lax;
    lax.helo_required = false;
    EXPECT_TRUE(Answers(number, lines, lax)[0].starts_with("250 "));
  });
}

TEST(Greeting, E003EhloNeedsAName) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    const auto replies = Answers(number, {"EHLO", "HELO ", "EHLO  \t"});
    for (const std::string& reply : replies) {
      EXPECT_TRUE(reply.starts_with("501 5.5.4 ")) << reply;
    }
  });
}

TEST(Greeting, E004HeloIsAnsweredInOneLineAndMakesNoEsmtp) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    const auto replies = Answers(number, {"HELO c0.example"});
    EXPECT_TRUE(replies[0].starts_with("250 ")) << replies[0];
    EXPECT_EQ(replies[0].find("\r\n"), replies[0].size() - 2);

    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0);
    plan.esmtp = false;
    plan.pipelining = false;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");  // the ledger wants "with SMTP" then
    ExpectAllSent(world.client(0));
  });
}

TEST(Greeting, E005AnotherEhloEndsTheTransactionAndItsLease) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.raw = {{"MAIL FROM:<a@c0.example>\r\n", 1},
                {"EHLO again.example\r\n", 1},
                {"RCPT TO:<r@c0.example>\r\n", 1}};
    plan.stays = 1h;
    world.AddClient(std::move(plan));
    // Gets the only connection although the first client is still there.
    ClientPlan other = MakeClient(1);
    other.start_after = 5s;
    world.AddClient(std::move(other));
    EXPECT_EQ(world.Run(), "");
    ASSERT_GE(world.client(0).replies().size(), 5u);
    EXPECT_EQ(world.client(0).replies()[4],
              "503 5.5.1 Error: need MAIL command\r\n");
    ExpectAllSent(world.client(1));
  });
}

TEST(Greeting, E006NamesThatAreNoneAreRefusedAndGoNowhere) {
  const std::vector<std::string> names = {"bell\a", "caf\xc3\xa9",
                                          std::string(256, 'x'), "esc\x1b[2J"};
  ForEachWorld(names.size(), [&](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.says_hello = false;
    plan.raw = {{"EHLO " + names[number] + "\r\n", 1},
                {"MAIL FROM:<a@c0.example>\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const auto& replies = world.client(0).replies();
    ASSERT_GE(replies.size(), 3u);
    EXPECT_EQ(replies[1][0], '5') << replies[1];
    EXPECT_TRUE(replies[2].starts_with("503 ")) << replies[2];
    EXPECT_FALSE(world.LogHas(names[number]));
  });
}

TEST(Greeting, E007WithoutABackendTheMinimumIsOfferedAndMailIsPutOff) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    world.RestartBackend(1h);
    ClientPlan plan = MakeClient(0, 0);
    plan.raw = {{"MAIL FROM:<a@c0.example>\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const auto& replies = world.client(0).replies();
    ASSERT_GE(replies.size(), 3u);
    EXPECT_NE(replies[1].find("PIPELINING\r\n"), std::string::npos);
    EXPECT_EQ(replies[1].find("8BITMIME"), std::string::npos) << replies[1];
    EXPECT_TRUE(replies[2].starts_with("451 4.")) << replies[2];
  });
}

TEST(Greeting, E008AWebBrowserIsToldAndLeft) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.says_hello = false;
    plan.says_quit = false;
    plan.stays = 1h;
    plan.raw = {{"GET / HTTP/1.1\r\nHost: mx.example\r\n\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const auto& replies = world.client(0).replies();
    ASSERT_EQ(replies.size(), 2u) << "one reply, and no more";
    EXPECT_TRUE(replies[1].starts_with("221 2.7.0 ")) << replies[1];
    EXPECT_TRUE(world.ledger().accepted().empty());
  });
}

TEST(Clock, E112AJumpOfTheWallClockEndsNothingAndShowsInTheHeader) {
  ForEachWorld(kWorlds, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 2);
    plan.pause = 1s;
    world.AddClient(std::move(plan));
    const io::Duration jump = number % 2 == 0 ? -24h * 30 : 24h * 30;
    world.AtTime(4s, [&world, jump] { world.loop().JumpWallClock(jump); });
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    // The world begins on 21 September 2026.
    const std::string& last = world.ledger().accepted().back().data;
    EXPECT_NE(last.find(number % 2 == 0 ? " Aug 2026 " : " Oct 2026 "),
              std::string::npos)
        << last;
  });
}

}  // namespace
}  // namespace tlspost::sim
