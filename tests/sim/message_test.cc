// What a client may send to break out of its message or its place: smuggled
// ends, plaintext behind STARTTLS, commands behind the dot, too much of all.

#include <gtest/gtest.h>

#include <chrono>
#include <optional>
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

// Edge 73: each must not end the message. What comes behind would be taken
// for commands by a server that sees an end there.
constexpr std::string_view kSmuggled =
    "MAIL FROM:<evil@c0.example>\r\nRCPT TO:<victim@c0.example>\r\nDATA\r\n"
    "smuggled\r\n";

struct Smuggling {
  std::string end;       // as sent
  std::string repaired;  // as the backend may get it
};

std::vector<Smuggling> AllSmugglings() {
  using std::string_literals::operator""s;
  return {
      {"\n.\n"s, "\r\n..\r\n"s},
      {"\n.\r\n"s, "\r\n..\r\n"s},
      {"\r.\r"s, " . "s},
      {"\r.\r\n"s, " .\r\n"s},
      {"\r.\n"s, " .\r\n"s},
      {"\r\n.\n"s, "\r\n..\r\n"s},
      {"\r\n.\r"s, "\r\n. "s},
      {"\r\n\0.\r\n"s, "\r\n .\r\n"s},
      {"\r\n.\0\r\n"s, "\r\n. \r\n"s},
      {"\r\n\r.\r\n"s, "\r\n .\r\n"s},
      {"\r\r\n.\r\r\n"s, " \r\n. \r\n"s},
      {"\n\n.\n\n"s, "\r\n\r\n..\r\n\r\n"s},
      {"\r\n.\r\0\n"s, "\r\n.  \r\n"s},
      {"\0\n.\n"s, " \r\n..\r\n"s},
      {"\n.\r\n.\n"s, "\r\n..\r\n..\r\n"s},
  };
}

Mail SmuggledMail(const Smuggling& smuggling) {
  Mail mail = MakeMail(0, 0);
  const std::string head = "Subject: x\r\n\r\nfirst";
  mail.body = head + smuggling.end + std::string(kSmuggled);
  mail.delivered = head + smuggling.repaired + std::string(kSmuggled);
  return mail;
}

TEST(Smuggling, E073EveryEndButCrlfDotCrlfIsRepairedAtEveryCut) {
  const std::vector<Smuggling> all = AllSmugglings();
  constexpr uint64_t kCuts = 12;
  ForEachWorld(all.size() * kCuts * 2, [&](uint64_t number) {
    const Smuggling& smuggling = all[number % all.size()];
    const uint64_t cut = number / all.size() % kCuts;
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {SmuggledMail(smuggling), MakeMail(0, 1)};
    plan.pipelining = false;
    // The cut comes by writes of their own: the message in two or in octets.
    const bool octets = number / all.size() / kCuts == 1;
    if (octets) plan.tls = ClientTls::kTls13;
    world.loop().set_fault_plan([=](const io::Endpoint& server,
                                    int) -> ConnectionFaults {
      ConnectionFaults faults;
      if (server.port() == 10025) return faults;
      if (octets) {
        faults.to_server.random_cuts = true;
      } else {
        // EHLO, MAIL, RCPT, DATA and the head come before the end.
        constexpr uint64_t kBefore = 17 + 29 + 27 + 6 + 17;  // up to "first"
        faults.to_server.cut_at = kBefore + cut;
      }
      return faults;
    });
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.counters().smuggling_attempts, 1);
  });
}

TEST(Smuggling, IsRefusedWithReject) {
  const std::vector<Smuggling> all = AllSmugglings();
  ForEachWorld(all.size() * 12, [&](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.bare_newline = BareNewline::kReject;
    options.settings.backend_max_connections = 1;
    ConnectionFaults faults;
    faults.to_server.random_cuts = true;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {SmuggledMail(all[number % all.size()]), MakeMail(0, 1)};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 550);
    EXPECT_EQ(world.client(0).results()[1].final_code, 250);
    EXPECT_EQ(world.ledger().accepted().size(), 1u);
  });
}

// --- what was said before TLS ------------------------------------------------

TEST(StartTls, WhatIsInjectedBehindItHasNoEffect) {
  const std::string_view injections[] = {
      "RSET\r\n",
      "EHLO evil.example\r\n",
      "EHLO evil.example\r\nMAIL FROM:<evil@c0.example>\r\n",
      "MAIL FROM:<evil@c0.example>\r\nRCPT TO:<x@c0.example>\r\nDATA\r\n",
      "NOOP",
      "\r\n",
      "\x16\x03\x01",
  };
  ForEachWorld(std::size(injections) * 40, [&](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.tls = number % 2 == 0 ? ClientTls::kTls13 : ClientTls::kTls12;
    plan.first_helo = "before-tls.example";
    plan.behind_starttls = injections[number % std::size(injections)];
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    // Dropped with the segment, it leaves no trace; only the count.
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(0).extra_replies(), 0);
    EXPECT_EQ(world.counters().starttls_injections, 1);
  });
}

TEST(StartTls, WhatIsInjectedBehindItHasNoEffectHoweverItIsCut) {
  ForEachWorld(160, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    ConnectionFaults faults;
    // "EHLO before-tls.example" CRLF is 25 octets, STARTTLS CRLF 10.
    faults.to_server.cut_at = 20 + number % 80;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.tls = ClientTls::kTls13;
    plan.first_helo = "before-tls.example";
    plan.behind_starttls =
        "EHLO evil.example\r\nMAIL FROM:<evil@c0.example>\r\n";
    world.AddClient(std::move(plan));
    // Cut there, the rest may count as TLS: then the handshake fails. It
    // is never executed (the ledger knows no evil@c0.example, and a MAIL of
    // the client's own would be a nested one).
    EXPECT_EQ(world.Run(), "");
    if (world.client(0).in_tls()) ExpectAllSent(world.client(0));
  });
}

TEST(StartTls, NeedsAnEhloBeforeAndAnotherAfterwards) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan;
    plan.tls = ClientTls::kTls13;
    plan.says_hello = false;
    world.AddClient(plan);
    plan.first_helo = "before-tls.example";
    plan.raw = {{"MAIL FROM:<a@c0.example>\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ASSERT_GE(world.client(0).replies().size(), 2u);
    EXPECT_TRUE(world.client(0).replies()[1].starts_with("503 5.5.1"));
    // EHLO, STARTTLS, and then MAIL at once.
    ASSERT_GE(world.client(1).replies().size(), 4u);
    EXPECT_TRUE(world.client(1).replies()[3].starts_with("503 5.5.1"));
  });
}

TEST(StartTls, NoMailWithoutItWhenItIsRequired) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.tls_security_level = TlsSecurityLevel::kEncrypt;
    World world(std::move(options));
    world.AddClient(MakeClient(0, 1));
    ClientPlan secure = MakeClient(1, 1);
    secure.tls = ClientTls::kTls12;
    world.AddClient(std::move(secure));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].mail, 530);
    ExpectAllSent(world.client(1));
  });
}

// --- groups ------------------------------------------------------------------

TEST(Pipelining, E075CommandsBehindTheDotAreTheClientsOwn) {
  ForEachWorld(120, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    if (number % 2 == 0) {
      ConnectionFaults faults;
      faults.to_server.random_cuts = true;
      options.client_faults = [=](int) { return faults; };
    }
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      plan.behind_dot = "NOOP\r\nRSET\r\nVRFY <x>\r\nRCPT TO:<a@b>\r\n";
      plan.replies_behind_dot = 4;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 2; ++i) {
      ExpectAllSent(world.client(i));
      const auto& replies = world.client(i).replies();
      ASSERT_GE(replies.size(), 5u);
      EXPECT_TRUE(replies[replies.size() - 2].starts_with("503 5.5.1"));
    }
    EXPECT_EQ(world.backend_dialogue().find("VRFY"), std::string::npos);
  });
}

// Two whole mails, the second in one segment with the end of the first.
TEST(Pipelining, AMailBehindTheDotIsAMailOfItsOwn) {
  ForEachWorld(80, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    ConnectionFaults faults;
    faults.to_server.random_cuts = number % 2 == 0;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.behind_dot =
        "MAIL FROM:<again@c0.example>\r\nRCPT TO:<a@b>\r\nRSET\r\n";
    plan.replies_behind_dot = 3;
    world.AddClient(std::move(plan));
    world.AddClient(MakeClient(1, 1));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    ExpectAllSent(world.client(1));
  });
}

TEST(Pipelining, AllRecipientsRefusedMeansNoBody) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sink.pipelining = number % 2 == 0;
    options.settings.backend_max_connections = 1;
    options.mischief =
        [](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RCPT" ||
          event.line.find("<r0") == std::string_view::npos) {
        return std::nullopt;
      }
      SinkMta::Misdeed refusal;
      refusal.reply = "550 5.1.1 No such user\r\n";
      return refusal;
    };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 2);
    plan.mails[0] = MakeMail(0, 0, /*recipients=*/4);
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].data, 554);
    EXPECT_EQ(world.client(0).results()[1].final_code, 250);
  });
}

// --- too much ----------------------------------------------------------------

// What waits to be read on one stream at most.
constexpr int kBlocksOfAStream =
    static_cast<int>(io::Stream::kMaxInboxMemory / io::BlockPool::kBlockSize);

Mail BigMail(int number, size_t octets) {
  Mail mail = MakeMail(0, number);
  while (mail.body.size() < octets) {
    mail.body += std::string(70 + mail.body.size() % 7, 'b') + "\r\n";
  }
  return mail;
}

TEST(Limits, E078AMessageOverTheLimitIsRefusedAndNotDelivered) {
  ForEachWorld(30, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.message_size_limit = 20000;
    options.settings.backend_max_connections = 1;
    ConnectionFaults faults;
    faults.to_server.random_cuts = number % 2 == 0;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {BigMail(0, 19000), BigMail(1, 60000), BigMail(2, 19000)};
    plan.pipelining = number % 3 == 0;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 250);
    EXPECT_EQ(world.client(0).results()[1].final_code, 552);
    EXPECT_EQ(world.client(0).results()[2].final_code, 250);
  });
}

// Rule 6: a fast client before a slow server, and the other way round. What
// the proxy holds stays under what two streams may hold.
TEST(Limits, ASlowBackendSlowsTheClient) {
  ForEachWorld(6, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    ConnectionFaults faults;
    faults.to_server.random_delays = true;
    faults.to_server.max_read = number % 2 == 0 ? 512 : 0;
    options.backend_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {BigMail(0, 400'000)};
    if (number % 3 == 0) plan.tls = ClientTls::kTls13;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    constexpr int kStreams = 4;  // the client's and the sink's are counted too
    EXPECT_LE(world.most_blocks_out(), kStreams * (kBlocksOfAStream + 2));
  });
}

// A client that sends octet by octet while its session waits for something.
TEST(Limits, ManySmallSegmentsDoNotPileUp) {
  ForEachWorld(4, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    ConnectionFaults faults;
    faults.to_server.max_read = 1;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    ClientPlan first = MakeClient(0, 1);
    first.pipelining = false;
    first.pause = 4s;  // the others wait for it
    world.AddClient(std::move(first));
    constexpr int kOthers = 3;
    for (int i = 1; i <= kOthers; ++i) {
      ClientPlan plan = MakeClient(i, 1);
      plan.mails[0] = MakeMail(i, 0, /*recipients=*/200);
      plan.start_after = 10s;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    EXPECT_LE(world.most_blocks_out(), (kOthers + 2) * (kBlocksOfAStream + 2));
  });
}

TEST(Limits, TooLongLinesAndTooManyErrorsEndInA421) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.raw = {{std::string(100'000, 'x') + "\r\n", 1},
                {"XCLIENT ADDR=1.2.3.4\r\n", 1},
                {std::string("NOOP \0x\r\n", 9), 1}};
    for (int i = 0; i < 30; ++i) plan.raw.push_back({"BOGUS\r\n", 1});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const auto& replies = world.client(0).replies();
    EXPECT_TRUE(replies[2].starts_with("500 5.5.2"));
    EXPECT_TRUE(replies[3].starts_with("502 5.5.1"));
    EXPECT_TRUE(replies.back().starts_with("421 4.7.0"));
    EXPECT_LE(replies.size(), 24u);
  });
}

// A group larger than any buffer: both directions move on their own.
TEST(Limits, AThousandPipelinedRecipientsDoNotDeadlock) {
  ForEachWorld(6, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sink.pipelining = number % 2 == 0;
    options.settings.recipient_limit = 900;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {MakeMail(0, 0, /*recipients=*/1000)};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    ASSERT_EQ(world.ledger().accepted().size(), 1u);
    EXPECT_EQ(world.ledger().accepted()[0].recipients.size(), 900u);
  });
}

}  // namespace
}  // namespace tlspost::sim
