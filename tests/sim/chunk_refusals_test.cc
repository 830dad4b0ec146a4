// BDAT that is refused: the chunk is read and dropped, and nothing in it is a
// command.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/chunk_scene.h"
#include "tests/sim/faults.h"
#include "tests/sim/plans.h"
#include "tests/sim/replay.h"
#include "tests/sim/talk.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""s;

TEST(Chunks, E091BehindRefusedRecipientsAreReadAndDropped) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = OneSlot(number);
    options.sink.pipelining = number % 2 == 0;
    options.mischief =
        Answering("RCPT", "<r0.0@c0.", "550 5.1.1 No such user\r\n");
    World world(std::move(options));
    ClientPlan plan = ChunkClient(0, 2, 3);
    world.AddClient(std::move(plan));
    world.AddClient(ChunkClient(1, 1));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_text,
              "554 5.5.1 Error: no valid recipients\r\n");
    EXPECT_EQ(world.client(0).results()[1].final_code, 250);
    ExpectAllSent(world.client(1));
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

TEST(Chunks, E091WithoutMailOrRecipientAreNoCommands) {
  EXPECT_EQ(
      Talk(OneSlot(1), "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nRSET\r\n", 2).codes,
      "503 503 221");
  EXPECT_EQ(Talk(OneSlot(1),
                 "MAIL FROM:<x@c0.example>\r\nBDAT 6 LAST\r\nQUIT\r\n"
                 "RCPT TO:<a@b>\r\n",
                 3)
                .codes,
            "250 554 503 221");
  // The sender was refused: the rest of the group is none.
  EXPECT_EQ(Talk(OneSlot(1),
                 "MAIL FROM:<x@c0.example> FOO\r\nRCPT TO:<a@b>\r\n"
                 "BDAT 6\r\nQUIT\r\nBDAT 3 LAST\r\nXXXNOOP\r\n",
                 5)
                .codes,
            "555 503 503 503 250 221");
}

TEST(Chunks, E093AndDataDoNotMix) {
  EXPECT_EQ(Talk(OneSlot(1),
                 "MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n"
                 "BDAT 3\r\nabcDATA\r\nRCPT TO:<c@d>\r\n"
                 "MAIL FROM:<y@c0.example>\r\nNOOP\r\nRSET\r\n",
                 8)
                .codes,
            "250 250 250 503 503 503 250 250 221");
  // RFC 3030 section 3.
  EXPECT_EQ(Talk(OneSlot(1),
                 "MAIL FROM:<x@c0.example> BODY=BINARYMIME\r\n"
                 "RCPT TO:<a@b>\r\nDATA\r\nRSET\r\n",
                 4)
                .codes,
            "250 250 503 250 221");
}

TEST(Chunks, E094AreNotOfferedWithoutTheBackendAndStillNoCommands) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = OneSlot(number);
    const bool discarded = number % 2 == 0;
    options.sink.chunking = discarded;
    if (discarded) options.settings.discard_ehlo_keywords = {"chunking"};
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    ClientPlan later = MakeClient(1, 1);
    later.start_after = 10s;
    later.raw = {{"MAIL FROM:<x@c1.example> BODY=BINARYMIME\r\n", 1},
                 {"BDAT 6\r\nQUIT\r\n", 1},
                 {"MAIL FROM:<x@c1.example>\r\nRCPT TO:<a@b>\r\n"
                  "BDAT 6\r\nQUIT\r\nBDAT 6 LAST\r\nQUIT\r\n",
                  4}};
    world.AddClient(std::move(later));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    const auto& replies = world.client(1).replies();
    EXPECT_EQ(replies[1].find("CHUNKING"), std::string::npos);
    EXPECT_EQ(replies[1].find("BINARYMIME"), std::string::npos);
    EXPECT_TRUE(
        Codes(world.client(1), 2).starts_with("555 502 250 250 502 502"))
        << Codes(world.client(1), 2);
    EXPECT_EQ(world.backend_dialogue().find("BDAT"), std::string::npos);
  });
}

TEST(Chunks, E095OfAnUncertainSizeEndTheSession) {
  constexpr std::string_view kSizes[] = {"",
                                         "-1",
                                         "x",
                                         "123456789012345678901",
                                         "18446744073709551615",
                                         "5 FIRST",
                                         "5 LAST LAST",
                                         "5\x01",
                                         "0x5",
                                         "+5",
                                         "5,"};
  ForEachWorld(std::size(kSizes) * 2, [&](uint64_t number) {
    World world(OneSlot(number));
    ClientPlan plan = MakeClient(0, 0);
    std::string raw;
    if (number % 2 == 1) {
      raw = "MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n";
    }
    raw += "BDAT " + std::string(kSizes[number / 2]) + "\r\nNOOP\r\nNOOP\r\n";
    plan.raw = {{raw, number % 2 == 1 ? 3 : 1}};
    plan.says_quit = false;
    world.AddClient(std::move(plan));
    world.AddClient(ChunkClient(1, 1));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).replies().back(),
              "501 5.5.4 Syntax: BDAT count [LAST]\r\n");
    ExpectAllSent(world.client(1));
  });
}

// A command that is too long, or has octets in it that none may have: nobody
// knows where its chunk ends.
TEST(Chunks, E095OfABrokenCommandEndTheSession) {
  const std::string broken[] = {
      "BDAT 6" + std::string(3000, ' ') + "LAST",
      "bdat " + std::string(9000, '1'), std::string(2500, ' ') + "BDAT 6",
      std::string("BDAT\x01 6"), std::string("\0BDAT 6 LAST", 12)};
  ForEachWorld(std::size(broken) * 4, [&](uint64_t number) {
    World world(OneSlot(number));
    ClientPlan plan = MakeClient(0, 0);
    const bool in_mail = number % 2 == 1;
    const bool between = number / 2 % 2 == 1;
    std::string raw;
    int replies = 1;
    if (in_mail) {
      raw = "MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n";
      replies += 2;
    }
    if (in_mail && between) {
      raw += "BDAT 1\r\nx";
      ++replies;
    }
    raw += broken[number / 4] + "\r\nVRFY x\r\n";
    plan.raw = {{raw, replies}};
    plan.says_quit = false;
    world.AddClient(std::move(plan));
    world.AddClient(ChunkClient(1, 1));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).replies().back(),
              "501 5.5.4 Syntax: BDAT count [LAST]\r\n");
    EXPECT_TRUE(world.LogHas("a BDAT whose size is not certain"));
    ExpectAllSent(world.client(1));
  });
}

TEST(Chunks, E078OverTheLimitAreRefusedAndDropped) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = OneSlot(number);
    options.settings.message_size_limit = 20'000;
    World world(std::move(options));
    ClientPlan plan = ChunkClient(0, 3, 1);
    const std::vector<std::vector<size_t>> sizes = {
        {10'000, 10'000}, {15'000, 5'001}, {20'001, 10}};
    for (size_t i = 0; i < 3; ++i) {
      Mail& mail = plan.mails[i];
      mail.body +=
          std::string(sizes[i][0] + sizes[i][1] - mail.body.size(), 'b');
      mail.chunks = sizes[i];
    }
    plan.pipelining = number % 2 == 0;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 250);
    EXPECT_EQ(world.client(0).results()[1].final_code, 552);
    EXPECT_EQ(world.client(0).results()[2].final_code, 552);
    // Between chunks a connection can be cleaned by RSET.
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

TEST(Chunks, E088WithTooManyHopsAreRefusedAndDropped) {
  std::string header;
  for (int i = 0; i < 50; ++i) header += "Received: from a by b\r\n";
  const std::string size = std::to_string(header.size());
  for (const bool last : {true, false}) {
    const std::string first = "BDAT " + size + (last ? " LAST" : "");
    const std::string rest = last ? "" : "BDAT 6 LAST\r\nQUIT\r\n";
    const std::string mail = "MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n" +
                             first + "\r\n" + header + rest;
    EXPECT_EQ(Talk(OneSlot(1), mail, last ? 3 : 4).codes,
              last ? "250 250 554 221" : "250 250 554 554 221");
  }
}

TEST(Chunks, E113HaveAMinimumRate) {
  WorldOptions options = OneSlot(1);
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 0);
  plan.pause = 10s;
  plan.raw = {{"MAIL FROM:<a@b>\r\n", 1},
              {"RCPT TO:<c@d>\r\n", 1},
              {"BDAT 60 LAST\r\n", 0}};
  for (int i = 0; i < 60; ++i) plan.raw.push_back({"x", 0});
  plan.lawless = true;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(world.ledger().accepted().empty());
  EXPECT_EQ(world.counters().messages_too_slow, 1);
}

// Between two chunks as well as within one, or a client that sends one now and
// then keeps a backend connection for ever.
TEST(Chunks, E113HaveAMinimumRateFromOneToTheNext) {
  for (const bool failed : {false, true}) {
    WorldOptions options = OneSlot(1);
    if (failed) {
      options.mischief = Answering("BDAT", "", "451 4.3.0 Later\r\n");
    }
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.start_after = 1s;
    plan.pause = 50s;
    plan.raw = {{"MAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\n", 2}};
    for (int i = 0; i < 12; ++i) {
      plan.raw.push_back({"BDAT 1\r\n", 0});
      plan.raw.push_back({"x", 1});
    }
    plan.lawless = true;
    world.AddClient(std::move(plan));
    ClientPlan other = MakeClient(1, 1);
    other.start_after = 160s;
    if (failed) other.mails.clear();
    world.AddClient(std::move(other));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.counters().messages_too_slow, 1);
    EXPECT_TRUE(LastReply(world.client(0)).starts_with("421 4.4.2"));
    if (failed) continue;
    // The first chunk is at 151 seconds, and data_timeout counts from there.
    ExpectAllSent(world.client(1));
    EXPECT_LT(world.client(1).ended_after(), 340s);
  }
}

// Where nobody takes it, too: it might hold a backend connection for ever.
TEST(Chunks, E113HaveAMinimumRateWhenTheyAreDropped) {
  for (const bool in_transaction : {true, false}) {
    World world(OneSlot(1));
    ClientPlan plan = MakeClient(0, 0);
    plan.pause = 10s;
    if (in_transaction) plan.raw = {{"MAIL FROM:<a@b>\r\n", 1}};
    plan.raw.push_back({"BDAT 60 LAST\r\n", 0});
    for (int i = 0; i < 60; ++i) plan.raw.push_back({"x", 0});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_TRUE(world.LogHas("timeout after BDAT from"));
  }
}

TEST(Chunks, EmptyOnesAreJunk) {
  WorldOptions options = OneSlot(1);
  options.settings.junk_command_limit = 5;
  options.settings.hard_error_limit = 10;
  std::string mail = "MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n";
  for (int i = 0; i < 30; ++i) mail += "BDAT 0\r\n";
  const Heard heard = Talk(std::move(options), mail, 15);
  EXPECT_NE(heard.codes.find(" 421"), std::string::npos) << heard.codes;
}

TEST(Chunks, TooLargeToBeDroppedEndTheSession) {
  ForEachWorld(4, [](uint64_t number) {
    World world(OneSlot(number));
    ClientPlan plan = MakeClient(0, 0);
    plan.start_after = 1s;
    const bool in_mail = number % 2 == 1;
    const std::string envelope =
        in_mail ? "MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n" : "";
    plan.raw = {{envelope + "BDAT 1000000000000\r\nNOOP\r\n", in_mail ? 3 : 1}};
    plan.says_quit = false;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const std::string& last = world.client(0).replies().back();
    EXPECT_TRUE(last.starts_with(in_mail ? "552" : "503")) << last;
  });
}

}  // namespace
}  // namespace tlspost::sim
