// Hostile and careless clients: errors, junk, slowness, loops, and what too
// many of them do to us. Each is stopped at a bound with a name, and others do
// not notice.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
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

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;

// --- errors and junk --------------------------------------------------------

TEST(Errors, E060LongLinesAreSkippedAndTooManyEndTheSession) {
  ForEachWorld(6, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    const std::string line(number % 2 == 0 ? 3000 : 100'000, 'x');
    ClientPlan plan = SayingOften(line, 30);
    plan.raw.insert(plan.raw.begin() + 5, {"NOOP\r\n", 1});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const SimClient& client = world.client(0);
    EXPECT_EQ(CountReplies(client, "500 5.5.2 Error: line too long"), 20);
    EXPECT_EQ(CountReplies(client, "250 2.0.0 Ok"), 1);  // NOOP in between
    EXPECT_EQ(LastReply(client),
              "421 4.7.0 mx.example Error: too many errors\r\n");
  });
}

TEST(Errors, E063EachErrorBeyondTheSoftLimitWaitsAndTheHardLimitEnds) {
  for (const bool at_once : {false, true}) {
    WorldOptions options;
    World world(std::move(options));
    world.AddClient(at_once ? SayingAtOnce("BOGUS", 40)
                            : SayingOften("BOGUS", 40));
    EXPECT_EQ(world.Run(), "");
    const SimClient& client = world.client(0);
    EXPECT_EQ(CountReplies(client, "500 5.5.2"), 20);
    EXPECT_EQ(LastReply(client),
              "421 4.7.0 mx.example Error: too many errors\r\n");
    // Replies 10 to 20, a second each.
    EXPECT_GE(client.ended_after(), 11s);
    EXPECT_LT(client.ended_after(), 12s);
    EXPECT_EQ(world.counters().replies_delayed, 11);
  }
}

// However many are in one segment, inside a transaction as well.
TEST(Errors, E063TheHardLimitHoldsForNonsenseAtOnce) {
  World world((WorldOptions()));
  ClientPlan plan;
  plan.raw = {{"MAIL FROM:<a@b.example>\r\n", 1},
              {std::string(8000, '\n'), 1000}};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_LE(CountReplies(world.client(0), "500 5.5.2"), 20);
  EXPECT_EQ(CountReplies(world.client(0), "421 4.7.0"), 1);
}

TEST(Errors, E063NobodyElseWaitsForADelay) {
  WorldOptions options;
  options.settings.backend_max_connections = 1;
  options.settings.error_sleep_time = Settings::Seconds(60);
  options.mischief =
      [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
    if (event.verb != "RCPT" || event.line.find("@c1") != event.line.npos) {
      return std::nullopt;
    }
    return SinkMta::Misdeed{.reply = "550 5.1.1 Unknown user\r\n"};
  };
  World world(std::move(options));
  // It has its errors while it holds the only backend connection.
  ClientPlan plan = Saying({"MAIL FROM:<a@c0.example>"});
  for (int i = 0; i < 30; ++i) plan.raw.push_back({"RCPT TO:<b@x>\r\n", 1});
  world.AddClient(std::move(plan));
  ClientPlan other = MakeClient(1, 1);
  other.start_after = 3s;
  world.AddClient(std::move(other));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(1));
  // One delay that had begun, and then no more while it waits.
  EXPECT_LT(world.client(1).ended_after(), 5s);
  EXPECT_GE(world.counters().replies_delayed, 2);
  EXPECT_LE(world.counters().replies_delayed, 4);
}

TEST(Errors, E063ADrainEndsADelay) {
  WorldOptions options;
  options.settings.error_sleep_time = Settings::Seconds(60);
  World world(std::move(options));
  world.AddClient(SayingOften("BOGUS", 15));
  world.AtTime(5s, [&world] { world.Drain(); });
  EXPECT_EQ(world.Run(), "");
  EXPECT_LT(world.client(0).ended_after(), 6s);
  EXPECT_EQ(CountReplies(world.client(0), "500 5.5.2"), 10);
  EXPECT_EQ(CountReplies(world.client(0), "421 4.3.2"), 1);
}

TEST(Errors, AMessageThatIsTakenForgivesThem) {
  WorldOptions options;
  options.settings.soft_error_limit = 5;
  options.settings.hard_error_limit = 8;
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 2);
  plan.raw = SayingOften("BOGUS", 4).raw;
  plan.behind_dot.clear();
  for (int i = 0; i < 4; ++i) plan.behind_dot += "BOGUS\r\n";
  plan.replies_behind_dot = 4;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(LastReply(world.client(0)), "221 2.0.0 Bye\r\n");
  EXPECT_EQ(world.counters().replies_delayed, 0);
}

TEST(Errors, E066JunkCountsInsideATransactionToo) {
  for (const bool inside : {false, true}) {
    for (const char* junk : {"NOOP", "VRFY x", "HELP", "EHLO x", "RSET"}) {
      // These two end the transaction: they come outside of it.
      if (inside && (junk[0] == 'E' || junk[0] == 'R')) continue;
      WorldOptions options;
      World world(std::move(options));
      ClientPlan plan = SayingOften(junk, 140);
      if (inside) plan.raw.insert(plan.raw.begin(), {"MAIL FROM:<a@b>\r\n", 1});
      world.AddClient(std::move(plan));
      EXPECT_EQ(world.Run(), "");
      // 100 are free (the first EHLO is one of them), 20 are errors.
      EXPECT_EQ(LastReply(world.client(0)),
                "421 4.7.0 mx.example Error: too many errors\r\n");
      EXPECT_EQ(world.client(0).replies().size(), 1u + 120u + inside + 1u)
          << junk << inside;
    }
  }
}

// --- slow and silent clients ------------------------------------------------

TEST(SlowClients, E117SilenceEndsWithA421AfterFiveMinutes) {
  World world{WorldOptions()};
  ClientPlan plan;
  plan.says_quit = false;
  plan.stays = 3600s;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(LastReply(world.client(0)),
            "421 4.4.2 mx.example Error: timeout exceeded\r\n");
  EXPECT_TRUE(world.LogHas("timeout after EHLO from unknown[192.0.2.10]"));
}

TEST(SlowClients, E113ACommandHasOneDeadlineHoweverItDrips) {
  World world{WorldOptions()};
  world.AddClient(Dripping("NOOP " + std::string(60, 'x') + "\r\n", 10s));
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(LastReply(world.client(0)).starts_with("421 4.4.2"));
  EXPECT_TRUE(world.LogHas("timeout after EHLO"));
}

// One octet every ten seconds would last for weeks.
TEST(SlowClients, E113AMessageHasAMinimumRate) {
  for (const uint64_t rate : {uint64_t{500}, uint64_t{0}}) {
    WorldOptions options;
    options.settings.min_data_rate = rate;
    World world(std::move(options));
    ClientPlan plan = Dripping(std::string(60, 'x'), 10s);
    std::vector<RawStep> envelope = {
        {"MAIL FROM:<a@b>\r\n", 1}, {"RCPT TO:<c@d>\r\n", 1}, {"DATA\r\n", 1}};
    plan.raw.insert(plan.raw.begin(), envelope.begin(), envelope.end());
    plan.stop_after = 0;  // it vanishes with its last octet
    for (const RawStep& step : plan.raw) *plan.stop_after += step.bytes.size();
    --*plan.stop_after;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_TRUE(world.ledger().accepted().empty());
    EXPECT_EQ(world.counters().messages_too_slow, rate == 0 ? 0 : 1);
    EXPECT_EQ(world.LogHas("timeout after DATA from unknown[192.0.2.10]"),
              rate != 0);
  }
}

// Edge 87: it sends and never reads. What we say to it is bounded.
TEST(SlowClients, E087WhoReadsNoRepliesIsLeft) {
  for (const ClientTls tls : {ClientTls::kNone, ClientTls::kTls13}) {
    WorldOptions options;
    options.settings.junk_command_limit = 1'000'000;
    World world(std::move(options));
    ClientPlan plan;
    plan.tls = tls;
    std::string noops;
    for (int i = 0; i < 50'000; ++i) noops += "NOOP\r\n";
    plan.raw = {{noops, 50'000}};  // it reads when all of them are sent
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    // Not a second deadline for a farewell it would not read either.
    EXPECT_GE(world.client(0).ended_after(), 300s);
    EXPECT_LT(world.client(0).ended_after(), 310s);
    EXPECT_LE(world.most_blocks_out(), 64);
    EXPECT_TRUE(world.LogHas("timeout after NOOP from unknown[192.0.2.10]"));
  }
}

// --- loops ------------------------------------------------------------------

Mail WithHops(int number, int hops, int own) {
  Mail mail = MakeMail(0, number);
  std::string head;
  for (int i = 0; i < hops; ++i) {
    head += i < own ? "Received: from a (b [192.0.2.1])\r\n"
                      "\tby mx.example (tlspost) with ESMTPS id 1;\r\n\tnow\r\n"
                    : "Received: from a by b; now\r\n";
  }
  mail.body = head + mail.body;
  return mail;
}

TEST(Hops, E088TooManyReceivedFieldsEndTheMessageWithoutADot) {
  ForEachWorld(12, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    ConnectionFaults faults;
    faults.to_server.random_cuts = number % 2 == 1;
    if (number % 4 == 3) faults.to_server.max_read = 1;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {WithHops(0, 50, 0), WithHops(1, 49, 9), WithHops(2, 20, 10),
                  MakeMail(0, 3)};
    if (number % 3 == 0) plan.tls = ClientTls::kTls13;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const auto& results = world.client(0).results();
    EXPECT_EQ(results[0].final_text, "554 5.4.6 Error: too many hops\r\n");
    EXPECT_EQ(results[1].final_code, 250);
    EXPECT_EQ(results[2].final_text,
              "554 5.4.6 Error: mail loops back to this host\r\n");
    EXPECT_EQ(results[3].final_code, 250);
    EXPECT_EQ(world.counters().mail_loops, 2);
    EXPECT_EQ(world.ledger().accepted().size(), 2u);
  });
}

TEST(Hops, E088ReceivedInTheBodyIsText) {
  World world{WorldOptions()};
  ClientPlan plan = MakeClient(0, 1);
  Mail& mail = plan.mails[0];
  mail.body = "Subject: x\r\n\r\n";
  for (int i = 0; i < 200; ++i) mail.body += "Received: from a by b\r\n";
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
}

// --- overload ---------------------------------------------------------------

TEST(Overload, IdleClientsHaveLessTimeAndItEndsByItself) {
  WorldOptions options;
  options.settings.max_connections = 10;
  options.settings.stress_percent = 80;
  World world(std::move(options));
  for (int i = 0; i < 8; ++i) {
    ClientPlan plan;
    plan.says_quit = false;
    plan.stays = 200s;
    plan.start_after = i * 1s;
    world.AddClient(std::move(plan));
  }
  // Who works goes on.
  ClientPlan busy = MakeClient(8, 3);
  busy.start_after = 8s;
  busy.pause = 500ms;
  world.AddClient(std::move(busy));
  ClientPlan later = Saying({"NOOP"});
  later.start_after = 100s;
  later.stays = 60s;
  world.AddClient(std::move(later));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(8));
  for (size_t i = 0; i < 8; ++i) {
    EXPECT_EQ(CountReplies(world.client(i), "421 4.4.2"), 1) << i;
  }
  EXPECT_EQ(LastReply(world.client(9)), "221 2.0.0 Bye\r\n");
  EXPECT_EQ(world.counters().stress_periods, 1);
  EXPECT_EQ(CountWords(world.log(), "overload mode begins"), 1);
  EXPECT_EQ(CountWords(world.log(), "overload mode ends"), 1);
  EXPECT_TRUE(world.LogHas("overload mode begins: 8 of 10 connections"));
}

TEST(Overload, OneErrorIsEnough) {
  WorldOptions options;
  options.settings.max_connections = 2;
  options.settings.stress_percent = 50;
  World world(std::move(options));
  world.AddClient(SayingOften("BOGUS", 5));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(CountReplies(world.client(0), "500 5.5.2"), 1);
  EXPECT_TRUE(LastReply(world.client(0)).starts_with("421 4.7.0"));
}

// --- descriptors ------------------------------------------------------------

TEST(Descriptors, E111AcceptingWaitsWithoutABusyLoopAndGoesOn) {
  World world{WorldOptions()};
  for (int i = 0; i < 3; ++i) {
    ClientPlan plan = MakeClient(i, 1);
    plan.start_after = i * 10s;
    world.AddClient(std::move(plan));
  }
  const io::Endpoint front = world.client(0).server();
  world.loop().set_out_of_descriptors(front, true);
  world.AtTime(5s, [&world, front] {
    world.loop().set_out_of_descriptors(front, false);
  });
  EXPECT_EQ(world.Run(), "");
  for (size_t i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
  EXPECT_GE(world.client(0).ended_after(), 5s);
  // Ten tries a second.
  EXPECT_GE(world.counters().accept_pauses, 40);
  EXPECT_LE(world.counters().accept_pauses, 51);
  EXPECT_EQ(CountWords(world.log(), "Too many open files; clients wait"), 1);
  EXPECT_EQ(CountWords(world.log(), "descriptors are free again after"), 1);
}

}  // namespace
}  // namespace tlspost::sim
