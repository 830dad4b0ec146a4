// BDAT: a message in chunks, however it is cut, lost or refused.

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
#include "tests/sim/misdeeds.h"
#include "tests/sim/plans.h"
#include "tests/sim/replay.h"
#include "tests/sim/talk.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Misdeed = SinkMta::Misdeed;
using Xclient = SinkMta::Xclient;

MakeScene TwoChunks(ClientTls tls, bool pipelining) {
  return [=] {
    Scene scene;
    scene.options = OneSlot(0);
    scene.options.settings.command_timeout = Settings::Seconds(60);
    scene.options.settings.data_timeout = Settings::Seconds(60);
    scene.options.settings.backend_timeout = Settings::Seconds(60);
    scene.options.settings.backend_data_done_timeout = Settings::Seconds(90);
    scene.clients = {ChunkClient(0), MakeClient(1, 1)};
    scene.clients[0].tls = tls;
    scene.clients[0].pipelining = pipelining;
    scene.clients[1].start_after = 40ms;
    return scene;
  };
}

// --- however it is cut -------------------------------------------------------

TEST(Chunks, E090DeliverTheSameOctetsHoweverTheyAreCut) {
  for (const bool pipelining : {false, true}) {
    const std::vector<Wire> wires =
        pipelining ? std::vector<Wire>{Wire::kFromClient} : kEveryWire;
    ForEachOctet(
        TwoChunks(ClientTls::kNone, pipelining), wires, Fault::kCut,
        [](const World& world, Wire) {
          ExpectAllSent(world.client(0));
          ExpectAllSent(world.client(1));
          EXPECT_EQ(world.backend_connections(), 1);
        },
        /*stride=*/pipelining ? 1 : 2);
  }
}

TEST(Chunks, E090DeliverTheSameOctetsUnderTls) {
  ForEachOctet(
      TwoChunks(ClientTls::kTls13, true), {Wire::kFromClient}, Fault::kCut,
      [](const World& world, Wire) { ExpectAllSent(world.client(0)); },
      /*stride=*/11);
}

TEST(Chunks, AreNotClaimedDeliveredWhenTheClientIsLostAtAnyOctet) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd, Fault::kStall}) {
    for (const bool pipelining : {false, true}) {
      ForEachOctet(
          TwoChunks(ClientTls::kNone, pipelining),
          {Wire::kFromClient, Wire::kToClient}, fault,
          [](const World& world, Wire) { ExpectAllSent(world.client(1)); },
          /*stride=*/fault == Fault::kReset && pipelining ? 1 : 5);
    }
  }
}

TEST(Chunks, AreAnsweredWhenTheBackendIsLostAtAnyOctet) {
  for (const Fault fault : {Fault::kReset, Fault::kEnd, Fault::kStall}) {
    for (const bool pipelining : {false, true}) {
      ForEachOctet(
          TwoChunks(ClientTls::kNone, pipelining),
          {Wire::kToBackend, Wire::kFromBackend}, fault,
          [](const World& world, Wire) { ExpectAnswered(world.client(0)); },
          /*stride=*/fault == Fault::kReset && !pipelining ? 1 : 7);
    }
  }
}

TEST(Chunks, OfOneClientAreNoneOfTheNext) {
  for (const Stop stop : {Stop::kVanish, Stop::kHalfClose, Stop::kStall}) {
    ForEachWorld(420 / 3, [&](uint64_t world_number) {
      const uint64_t number = 3 * world_number + static_cast<uint64_t>(stop);
      World world(OneSlot(number, kXclients[number % 3]));
      ClientPlan first = ChunkClient(0, 2, 3);
      first.stop_after = number;
      first.stop = stop;
      first.pipelining = number % 2 == 0;
      world.AddClient(std::move(first));
      ClientPlan second =
          number % 5 == 0 ? MakeClient(1, 2) : ChunkClient(1, 2);
      second.start_after = 1ms + (number % 5) * 20ms;
      world.AddClient(std::move(second));
      EXPECT_EQ(world.Run(), "");
      ExpectAllSent(world.client(1));
    });
  }
}

TEST(Chunks, OfTwoClientsShareOneConnection) {
  ForEachWorld(120, [](uint64_t number) {
    World world(OneSlot(number));
    for (int i = 0; i < 3; ++i) {
      ClientPlan plan = ChunkClient(i, 2, 1 + static_cast<int>(number % 4));
      plan.mails.push_back(MakeMail(i, 2));
      plan.pipelining = (number >> i) % 2 == 0;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAllSent(world.client(i));
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

TEST(Chunks, HeaderGoesWithTheFirst) {
  World world(OneSlot(1));
  ClientPlan plan = ChunkClient(0, 1, 3);
  const std::vector<size_t> sizes = plan.mails[0].chunks;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  ExpectAllSent(world.client(0));
  const std::string& data = world.ledger().accepted()[0].data;
  const size_t header = data.size() - sizes[0] - sizes[1] - sizes[2];
  for (const std::string& command :
       {" BDAT " + std::to_string(header + sizes[0]) + "\n",
        " BDAT " + std::to_string(sizes[1]) + "\n",
        " BDAT " + std::to_string(sizes[2]) + " LAST\n"}) {
    EXPECT_NE(world.backend_dialogue().find(command), std::string::npos)
        << command;
  }
  // The words for each chunk are the backend's.
  const auto& replies = world.client(0).replies();
  EXPECT_EQ(replies[4], "250 2.0.0 Ok: " + std::to_string(header + sizes[0]) +
                            " bytes\r\n");
}

TEST(Chunks, E092NothingAndLastEndsTheMessage) {
  ForEachWorld(40, [](uint64_t number) {
    World world(OneSlot(number));
    ClientPlan plan = ChunkClient(0, 2, 1);
    plan.mails[0].chunks.push_back(0);
    // All of it is nothing: our header is the message.
    plan.mails[1].body.clear();
    plan.mails[1].chunks = {0};
    plan.pipelining = number % 2 == 0;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
  });
}

TEST(Chunks, ManyMegabytesPassThroughASmallBuffer) {
  ForEachWorld(2, [](uint64_t number) {
    WorldOptions options = OneSlot(number);
    ConnectionFaults faults;
    faults.to_server.max_read = number == 0 ? 0 : 999;
    options.backend_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = ChunkClient(0);
    Mail& mail = plan.mails[0];
    while (mail.body.size() < 2'000'000) mail.body += Trap();
    mail.chunks = {1'500'000, mail.body.size() - 1'500'000};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    constexpr int kStreams = 4;
    constexpr int kBlocksOfAStream = static_cast<int>(
        io::Stream::kMaxInboxMemory / io::BlockPool::kBlockSize);
    EXPECT_LE(world.most_blocks_out(), kStreams * (kBlocksOfAStream + 2));
  });
}

// --- what the backend makes of them ------------------------------------------

TEST(Chunks, RefusedInTheMiddleAreAllRefusedInTheSameWords) {
  ForEachWorld(120, [](uint64_t number) {
    WorldOptions options = OneSlot(number);
    const bool temporary = number % 2 == 0;
    const std::string words = temporary ? "452 4.2.2 Full\r\n"
                                        : "550-5.7.1 Not\r\n550 5.7.1 this\r\n";
    options.mischief = At("BDAT", static_cast<int>(number % 3), Says(words));
    World world(std::move(options));
    ClientPlan plan = ChunkClient(0, 2, 3);
    plan.pipelining = number / 2 % 2 == 0;
    world.AddClient(std::move(plan));
    world.AddClient(ChunkClient(1, 1, 1));
    EXPECT_EQ(world.Run(), "");
    // Whichever was first hears it, the others are sent.
    int refused = 0;
    for (const int client : {0, 1}) {
      for (const MailResult& result : world.client(client).results()) {
        if (result.final_code == 250) continue;
        EXPECT_EQ(result.final_text, words);
        ++refused;
      }
    }
    EXPECT_EQ(refused, 1);
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

TEST(Chunks, RefusedAreNoErrorsEach) {
  WorldOptions options = OneSlot(1);
  options.mischief = At("BDAT", 0, Says("451 4.3.0 Later\r\n"));
  World world(std::move(options));
  ClientPlan plan = ChunkClient(0, 2, 1);
  plan.mails[0].body += std::string(200, 'x');
  plan.mails[0].chunks.assign(60, 1);
  plan.mails[0].chunks.push_back(plan.mails[0].body.size() - 60);
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(world.client(0).results()[0].final_code, 451);
  EXPECT_EQ(world.client(0).results()[1].final_code, 250);
}

TEST(Chunks, AreAnsweredHoweverTheBackendMisbehaves) {
  const std::vector<Misdeed> misdeeds = {
      Says("", true),
      Says("421 4.3.2 sink closing\r\n", true),
      Says("421 4.3.2 sink says goodbye and stays\r\n"),
      Says("354 Go on\r\n"),
      Says("552 5.3.4 Too big\r\n", true),
      Says("552 5.3.4 Too big\r\n"),
      Says("550 5.0.0 One\r\n550 5.0.0 too many\r\n"),
      Says("hello\r\n"),
      Says("25"),
      Says(""),
  };
  constexpr std::string_view kVerbs[] = {"CHUNK", "BDAT"};
  ForEachWorld(misdeeds.size() * 2 * 3 * 4, [&](uint64_t number) {
    WorldOptions options = OneSlot(number);
    options.settings.backend_timeout = Settings::Seconds(30);
    options.settings.backend_data_done_timeout = Settings::Seconds(60);
    const Misdeed misdeed = misdeeds[number % misdeeds.size()];
    const std::string_view verb = kVerbs[number / misdeeds.size() % 2];
    const int nth = static_cast<int>(number / misdeeds.size() / 2 % 3);
    // A server that has answered early has answered: it may take it then.
    options.backend_may_lie = verb == "CHUNK";
    options.mischief = At(verb, nth, misdeed);
    ConnectionFaults faults;
    faults.to_server.random_cuts = true;
    options.backend_faults = [=](int) { return faults; };
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = ChunkClient(i, 2, 2);
      plan.pipelining = (number >> i) % 2 == 0;
      world.AddClient(std::move(plan));
    }
    ClientPlan later = ChunkClient(2, 1);
    later.start_after = 600s;
    world.AddClient(std::move(later));
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 3; ++i) ExpectAnswered(world.client(i));
    ExpectAllSent(world.client(2));
  });
}

// Only 250 or a refusal answers BDAT: anything else is the answer to something
// else, and what became of a LAST chunk is not known.
TEST(Chunks, AreNotAcceptedByAReplyThatIsOutOfStep) {
  constexpr std::string_view kReplies[] = {
      "354 Go on\r\n", "220 sink.example ESMTP\r\n", "221 2.0.0 Bye\r\n",
      "251 2.1.5 Forwarded\r\n", "252 2.0.0 Perhaps\r\n"};
  ForEachWorld(std::size(kReplies) * 2 * 4, [&](uint64_t number) {
    WorldOptions options = OneSlot(number);
    const bool last = number % 2 == 1;
    options.mischief =
        At("BDAT", last ? 1 : 0, Says(std::string(kReplies[number / 2 % 5])));
    World world(std::move(options));
    ClientPlan plan = ChunkClient(0, 1, 2);
    plan.pipelining = number / 10 % 2 == 0;
    world.AddClient(std::move(plan));
    world.AddClient(ChunkClient(1, 1));
    EXPECT_EQ(world.Run(), "");
    int code = 451;
    for (const int client : {0, 1}) {
      const MailResult& result = world.client(client).results()[0];
      if (result.final_code == 250) continue;
      EXPECT_EQ(std::exchange(code, 0), 451);
      EXPECT_TRUE(
          result.final_text.starts_with(last ? "451 4.4.2 " : "451 4.3"))
          << result.final_text;
    }
    EXPECT_EQ(code, 0);
    EXPECT_EQ(world.counters().outcomes_unknown, last ? 1 : 0);
    EXPECT_EQ(world.backend_connections(), 2);
  });
}

// A reply too many behind that to a chunk: it would be taken for the next
// one's, and a mail for delivered that was not.
TEST(Chunks, AreNotAcceptedByAReplyThatCameBefore) {
  for (const bool refused : {false, true}) {
    WorldOptions options = OneSlot(1);
    auto count = std::make_shared<int>(0);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
      if (event.verb != "BDAT") return std::nullopt;
      if ((*count)++ > 0) return Says("554 5.6.0 Not taken\r\n");
      return Says(refused ? "250 2.0.0 Ok\r\n550 5.0.0 And no\r\n"
                          : "250 2.0.0 Ok\r\n250 2.0.0 Ok\r\n");
    };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.start_after = 1s;
    plan.pause = 1s;
    plan.raw = {{"MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n", 2},
                {"BDAT 3\r\nabc", 1},
                {"BDAT 0 LAST\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(Codes(world.client(0), 2), "250 250 250 451 221");
    EXPECT_EQ(*count, 1) << "the LAST chunk went out";
  }
}

TEST(Chunks, MeetABackendThatHasLostTheExtension) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = OneSlot(number);
    options.settings.backend_idle_timeout = Settings::Seconds(5);
    auto greetings = std::make_shared<int>(0);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<Misdeed> {
      if (event.verb != "EHLO" || (*greetings)++ == 0) return std::nullopt;
      return Says("250-sink.example\r\n250 SIZE 5000\r\n");
    };
    options.sink.xclient = Xclient::kNone;
    World world(std::move(options));
    ClientPlan early = MakeClient(0, 0);
    early.start_after = 1s;
    early.pause = 60s;  // its EHLO is from before
    early.raw = {{"MAIL FROM:<x@c0.example> BODY=BINARYMIME\r\n", 1},
                 {"MAIL FROM:<x@c0.example> BODY=8BITMIME\r\nRSET\r\n", 2},
                 {"MAIL FROM:<x@c0.example> SMTPUTF8\r\n", 1},
                 {"MAIL FROM:<x@c0.example>\r\nRCPT TO:<a@b>\r\n"
                  "BDAT 6 LAST\r\nQUIT\r\n",
                  3}};
    world.AddClient(std::move(early));
    ClientPlan between = MakeClient(1, 1);
    between.start_after = 90s;
    world.AddClient(std::move(between));
    ClientPlan later = MakeClient(2, 1);
    later.start_after = 92s;
    world.AddClient(std::move(later));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    // It may try again: it was offered what it asks for.
    EXPECT_EQ(Codes(world.client(0), 2), "455 455 250 455 250 250 451 221");
    EXPECT_NE(world.client(0).replies()[1].find("CHUNKING"), std::string::npos);
    EXPECT_EQ(world.client(2).replies()[1].find("CHUNKING"), std::string::npos);
    EXPECT_TRUE(world.LogHas(
        "its EHLO list has changed: -PIPELINING -ENHANCEDSTATUSCODES -8BITMIME "
        "-SMTPUTF8 -DSN -CHUNKING -BINARYMIME SIZE 5000; clients"));
  });
}

}  // namespace
}  // namespace tlspost::sim
