// The edge cases of the envelope: what may be said when, and what is made of
// it (numbers 41 to 67 of the protocol notes).

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/sim/faults.h"
#include "tests/sim/replay.h"
#include "tests/sim/talk.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""s;

constexpr std::string_view kMail = "MAIL FROM:<x@c0.example>\r\n";
constexpr std::string_view kRcpt = "RCPT TO:<a@b>\r\n";

std::string Group(std::initializer_list<std::string_view> commands) {
  std::string group;
  for (const std::string_view command : commands) group += command;
  return group;
}

// A backend whose EHLO reply is `lines`, each with "250-" and its end.
WorldOptions Offering(const std::string& lines) {
  WorldOptions options;
  options.sink.xclient = SinkMta::Xclient::kNone;
  options.mischief = Answering(
      "EHLO", "", "250-sink.example\r\n" + lines + "250 PIPELINING\r\n");
  return options;
}

// MAIL with those parameters to that backend: the codes, and whether the
// backend was told.
Heard MailWith(WorldOptions options, const std::string& parameters) {
  return Talk(std::move(options),
              "MAIL FROM:<x@c0.example> " + parameters + "\r\n", 1);
}

TEST(Envelope, E041RepliesToAGroupComeInOrder) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sink.pipelining = number % 2 == 0;
    options.mischief =
        Answering("RCPT", "<r0.0@", "550 5.1.1 No such user\r\n");
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {MakeMail(0, 0, /*recipients=*/2)};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const MailResult& result = world.client(0).results()[0];
    EXPECT_EQ(result.mail, 250);
    EXPECT_EQ(result.recipients, (std::vector<int>{550, 250}));
    EXPECT_EQ(result.data, 354);
    EXPECT_EQ(result.final_code, 250);
  });
}

TEST(Envelope, E042NoBodyWhenAllRecipientsAreRefused) {
  WorldOptions options;
  options.mischief = Answering("RCPT", "<a@b>", "550 5.1.1 No such user\r\n");
  const Heard heard = Talk(
      std::move(options),
      {{Group({kMail, kRcpt, "DATA\r\n"}), 3}, {".\r\n", 1}, {"NOOP\r\n", 1}});
  EXPECT_EQ(heard.codes, "250 550 554 500 250 221");
  EXPECT_EQ(heard.replies[2], "554 5.5.1 Error: no valid recipients\r\n");
}

TEST(Envelope, E043SomeRecipientsRefusedKeepTheOrder) {
  WorldOptions options;
  options.mischief = Answering("RCPT", "<no@", "550 5.1.1 No such user\r\n");
  const Heard heard = Talk(std::move(options),
                           Group({kMail, kRcpt, "RCPT TO:<no@b>\r\n",
                                  "RCPT TO:<c@b>\r\n", "RSET\r\n"}),
                           5);
  EXPECT_EQ(heard.codes, "250 250 550 250 250 221");
}

TEST(Envelope, E044MailWithinMail) {
  EXPECT_EQ(Talk({}, {{Group({kMail, kRcpt}), 2},
                      {std::string(kMail), 1},
                      {"RSET\r\n", 1}})
                .codes,
            "250 250 503 250 221");
  EXPECT_EQ(Talk({}, Group({kMail, kMail, "RSET\r\n"}), 3).codes,
            "250 503 250 221");
}

TEST(Envelope, E045RecipientBeforeMail) {
  const Heard heard = Talk({}, std::string(kRcpt), 1);
  EXPECT_EQ(heard.replies[0], "503 5.5.1 Error: need MAIL command\r\n");
  EXPECT_FALSE(heard.BackendHas("<a@b>"));
}

TEST(Envelope, E046DataBeforeRecipient) {
  EXPECT_EQ(Talk({}, "DATA\r\n", 1).codes, "503 221");
  // Behind MAIL the words are the backend's: Postfix says 503 5.5.1.
  WorldOptions options;
  options.mischief =
      Answering("DATA", "DATA", "503 5.5.1 Error: need RCPT command\r\n");
  World world(std::move(options));
  ClientPlan plan = MakeClient(0, 0);
  plan.raw = {{Group({kMail, "DATA\r\n", "RSET\r\n"}), 3}};
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_EQ(world.client(0).replies()[3],
            "503 5.5.1 Error: need RCPT command\r\n");
}

TEST(Envelope, E047ResetIsAnsweredByUsAndTheBackendIsReset) {
  const Heard heard = Talk({}, Group({kMail, kRcpt, "RSET\r\n"}), 3);
  EXPECT_EQ(heard.codes, "250 250 250 221");
  EXPECT_TRUE(heard.BackendHas("RSET"));
}

TEST(Envelope, E047AConnectionThatDoesNotTakeResetIsClosed) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.settings.backend_max_connections = 1;
    options.mischief = Answering("RSET", "", "503 5.5.1 Error: no\r\n");
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.raw = {{Group({kMail, kRcpt, "RSET\r\n"}), 3}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    // The client hears nothing of it.
    EXPECT_EQ(world.client(0).replies()[4], "250 2.0.0 Ok\r\n");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_connections(), 2);
  });
}

TEST(Envelope, E048TheNullSenderPasses) {
  const Heard heard =
      Talk({}, Group({"MAIL FROM:<>\r\n", kRcpt, "RSET\r\n"}), 3);
  EXPECT_EQ(heard.codes, "250 250 250 221");
  EXPECT_TRUE(heard.BackendHas("MAIL FROM:<>\n"));
}

TEST(Envelope, E049ADeclaredSizeOverTheLimitCostsNoConnection) {
  WorldOptions options;
  options.settings.message_size_limit = 5000;
  const Heard heard = MailWith(std::move(options), "SIZE=99999999");
  EXPECT_EQ(heard.replies[0], "552 5.3.4 Message size exceeds fixed limit\r\n");
  EXPECT_FALSE(heard.BackendHas("MAIL FROM:<x@"));
}

TEST(Envelope, E050AnUnknownParameterIsRefused) {
  const Heard heard = MailWith({}, "HOLDFOR=5");
  EXPECT_EQ(heard.replies[0], "555 5.5.4 Unsupported option\r\n");
  EXPECT_FALSE(heard.BackendHas("MAIL FROM:<x@"));
}

TEST(Envelope, E051EightBitIsNeverStrippedSilently) {
  const Heard without = MailWith(Offering(""), "BODY=8BITMIME");
  EXPECT_EQ(without.codes, "555 221");
  EXPECT_EQ(without.ehlo.find("8BITMIME"), std::string::npos);
  EXPECT_FALSE(without.BackendHas("MAIL FROM:<x@"));
  EXPECT_TRUE(MailWith({}, "BODY=8BITMIME")
                  .BackendHas("MAIL FROM:<x@c0.example> BODY=8BITMIME\n"));
}

TEST(Envelope, E052BinaryNeedsChunkingAtBothEnds) {
  WorldOptions options;
  options.sink.chunking = false;
  EXPECT_EQ(MailWith(options, "BODY=BINARYMIME").codes, "555 221");
  // BINARYMIME alone is of no use.
  const Heard alone =
      MailWith(Offering("250-BINARYMIME\r\n"), "BODY=BINARYMIME");
  EXPECT_EQ(alone.codes, "555 221");
  EXPECT_EQ(alone.ehlo.find("BINARYMIME"), std::string::npos);
  EXPECT_EQ(MailWith({}, "BODY=BINARYMIME").codes, "250 221");
}

TEST(Envelope, E053SmtpUtf8NeedsTheBackendAndEightBitNeedsSmtpUtf8) {
  EXPECT_EQ(MailWith(Offering(""), "SMTPUTF8").codes, "555 221");
  EXPECT_EQ(MailWith({}, "SMTPUTF8").codes, "250 221");
  const Heard heard = Talk({}, "MAIL FROM:<caf\xc3\xa9@c0.example>\r\n", 1);
  EXPECT_TRUE(heard.replies[0].starts_with("553 5.6.7"));
  EXPECT_FALSE(heard.BackendHas("MAIL FROM:<caf"));
}

TEST(Envelope, E054DsnParametersPassVerbatim) {
  const Heard heard =
      Talk({},
           "MAIL FROM:<x@c0.example> RET=hdrs ENVID=a+2Bb\r\n"
           "RCPT TO:<a@b> NOTIFY=SUCCESS,delay ORCPT=rfc822;A+2Bb@c\r\n"
           "RSET\r\n",
           3);
  EXPECT_EQ(heard.codes, "250 250 250 221");
  EXPECT_TRUE(
      heard.BackendHas("MAIL FROM:<x@c0.example> RET=hdrs ENVID=a+2Bb\n"));
  EXPECT_TRUE(heard.BackendHas(
      "RCPT TO:<a@b> NOTIFY=SUCCESS,delay ORCPT=rfc822;A+2Bb@c\n"));
  EXPECT_EQ(MailWith(Offering(""), "RET=FULL").codes, "555 221");
  EXPECT_EQ(
      Talk(Offering(""),
           Group({kMail, "RCPT TO:<a@b> NOTIFY=NEVER\r\n", "RSET\r\n"}), 3)
          .codes,
      "250 555 250 221");
}

TEST(Envelope, E055AuthOfAStrangerIsDropped) {
  const Heard heard = MailWith({}, "AUTH=a@b BODY=7BIT");
  EXPECT_EQ(heard.codes, "250 221");
  EXPECT_TRUE(heard.BackendHas("MAIL FROM:<x@c0.example> BODY=7BIT\n"));
}

TEST(Envelope, E056TheBackendsLimitOfRecipientsIsPassedOn) {
  ForEachWorld(4, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sink.pipelining = number % 2 == 0;
    auto count = std::make_shared<int>(0);
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RCPT" || ++*count <= 300) return std::nullopt;
      SinkMta::Misdeed misdeed;
      misdeed.reply = "452 4.5.3 Error: too many recipients\r\n";
      return misdeed;
    };
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {MakeMail(0, 0, /*recipients=*/1000)};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(0).results()[0].recipients[300], 452);
    ASSERT_EQ(world.ledger().accepted().size(), 1u);
    EXPECT_EQ(world.ledger().accepted()[0].recipients.size(), 300u);
  });
}

TEST(Envelope, E057RepliesPassAsTheyAre) {
  for (const std::string_view reply :
       {"550-5.1.1 No\r\n550-5.1.1 such\r\n550 5.1.1 user\r\n",
        "550 No such user\r\n", "251 forwards\r\n", "450 4.2.0\r\n"}) {
    WorldOptions options;
    options.mischief = Answering("RCPT", "<a@b>", std::string(reply));
    EXPECT_EQ(Talk(std::move(options), Group({kMail, kRcpt, "RSET\r\n"}), 3)
                  .replies[1],
              reply);
  }
  WorldOptions options;
  options.sink.enhanced_status_codes = false;
  const Heard heard = Talk(std::move(options), "NOOP\r\n", 1);
  EXPECT_EQ(heard.ehlo.find("ENHANCEDSTATUSCODES"), std::string::npos);
  EXPECT_EQ(heard.replies[0], "250 Ok\r\n");
}

// --- groups of any size ------------------------------------------------------

WorldOptions TinyPipes(uint64_t number, size_t capacity) {
  WorldOptions options;
  options.seed = number;
  options.settings.recipient_limit = 1'000'000;
  options.settings.soft_error_limit = 1'000'000;
  options.settings.hard_error_limit = 1'000'000;
  options.settings.command_timeout = Settings::Seconds(60);
  ConnectionFaults faults;
  faults.to_server.capacity = capacity;
  faults.to_client.capacity = capacity;
  options.client_faults = [=](int) { return faults; };
  options.backend_faults = [=](int) { return faults; };
  return options;
}

TEST(Envelope, E058AMegabyteOfRecipientsPassesThroughTinyPipes) {
  ForEachWorld(4, [](uint64_t number) {
    WorldOptions options = TinyPipes(number, number == 0 ? 4096 : 300);
    // What the server says is longer than what it is told.
    const bool wordy = number % 2 == 1;
    if (wordy) {
      options.mischief =
          Answering("RCPT", "", "450 4.2.0 " + std::string(200, 'x') + "\r\n");
    }
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {MakeMail(0, 0, number == 0 ? 35'000 : 2000)};
    plan.reads_meanwhile = true;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const MailResult& result = world.client(0).results()[0];
    EXPECT_EQ(result.mail, 250);
    EXPECT_EQ(result.recipients.back(), wordy ? 450 : 250);
    EXPECT_EQ(result.final_code, wordy ? 0 : 250);
    EXPECT_LT(world.client(0).ended_after(), 30s);
    constexpr int kStreams = 4;
    constexpr int kBlocksOfAStream = static_cast<int>(
        io::Stream::kMaxInboxMemory / io::BlockPool::kBlockSize);
    EXPECT_LE(world.most_blocks_out(), kStreams * (kBlocksOfAStream + 2));
  });
}

// A client that hears nothing before it has said all: its own deadlock ends by
// our deadline, and costs nobody else anything.
TEST(Envelope, E058WhoReadsNothingMeanwhileEndsByTheDeadline) {
  ForEachWorld(4, [](uint64_t number) {
    WorldOptions options = TinyPipes(number, 300);
    options.settings.backend_max_connections = 1;
    options.clients_may_hang = true;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 0);
    plan.mails = {MakeMail(0, 0, 4000)};
    world.AddClient(std::move(plan));
    ClientPlan other = MakeClient(1, 1);
    other.start_after = 100s;
    world.AddClient(std::move(other));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).results()[0].final_code, 0);
    ExpectAllSent(world.client(1));
  });
}

// The sink closes on whoever says more before it has answered.
TEST(Envelope, E059GroupsAreSerialisedForABackendWithoutPipelining) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options;
    options.seed = number;
    options.sink.pipelining = false;
    options.settings.backend_max_connections = 1;
    ConnectionFaults faults;
    faults.to_server.random_cuts = number % 2 == 0;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeClient(i, 0);
      plan.mails = {MakeMail(i, 0, /*recipients=*/5), MakeMail(i, 1)};
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    ExpectAllSent(world.client(1));
    EXPECT_EQ(world.backend_connections(), 1);
  });
}

// --- lines -------------------------------------------------------------------

TEST(Envelope, E060ALineTooLongIsSkipped) {
  const Heard heard = Talk(
      {},
      Group({kMail, "RCPT TO:<" + std::string(3000, 'x') + "@b>\r\n", kRcpt,
             "RSET\r\nNOOP " + std::string(2500, 'x') + "\r\n", "NOOP\r\n"}),
      6);
  EXPECT_EQ(heard.codes, "250 500 250 250 500 250 221");
  EXPECT_EQ(heard.replies[1], "500 5.5.2 Error: line too long\r\n");
  EXPECT_FALSE(heard.BackendHas("xxx"));
}

TEST(Envelope, E061ControlOctetsAreNeverForwarded) {
  using std::string_literals::operator""s;
  const Heard heard =
      Talk({},
           "MAIL FROM:<a\0@c0.example>\r\n"s + std::string(kMail) +
               "RCPT TO:<a\x01@b>\r\nRCPT TO:<a\r@b>\r\nRSET\0\r\nRSET\r\n"s,
           6);
  EXPECT_EQ(heard.codes, "500 250 500 500 500 250 221");
  EXPECT_EQ(heard.backend.find_first_of("\x01\r\0"s), std::string::npos);
}

TEST(Envelope, E062AnEmptyLineIsBadSyntax) {
  const Heard heard =
      Talk({}, Group({"\r\n", kMail, " \t\r\n", "RSET\r\n"}), 4);
  EXPECT_EQ(heard.codes, "500 250 500 250 221");
  EXPECT_EQ(heard.replies[0], "500 5.5.2 Error: bad syntax\r\n");
}

TEST(Envelope, E064TheProxysOwnWordsAreNotTheClients) {
  const std::string lines =
      "XCLIENT ADDR=192.0.2.99\r\nXFORWARD ADDR=192.0.2.99\r\nBURL imap://x\r\n"
      "PROXY TCP4 192.0.2.99 192.0.2.1 1 25\r\nTURN\r\n";
  const Heard heard =
      Talk({}, {{lines, 5}, {std::string(kMail) + lines + "RSET\r\n", 7}});
  EXPECT_EQ(heard.codes, "502 502 502 502 502 250 502 502 502 502 502 250 221");
  for (const std::string_view word : {"XCLIENT", "XFORWARD", "BURL", "TURN"}) {
    EXPECT_EQ(heard.ehlo.find(word), std::string::npos) << word;
  }
  EXPECT_FALSE(heard.BackendHas("192.0.2.99"));
}

TEST(Envelope, E065VrfyIsAnsweredByUsOrNotAtAll) {
  const std::string lines = "VRFY <a@b>\r\nEXPN list\r\nETRN b\r\n";
  const std::string all = lines + std::string(kMail) + lines + "RSET\r\n";
  const Heard heard = Talk(Offering("250-VRFY\r\n250-ETRN\r\n"), all, 8);
  EXPECT_EQ(heard.codes, "252 502 502 250 252 502 502 250 221");
  EXPECT_NE(heard.ehlo.find("VRFY"), std::string::npos);
  EXPECT_EQ(heard.ehlo.find("ETRN"), std::string::npos);
  EXPECT_FALSE(heard.BackendHas("VRFY <"));
  WorldOptions options = Offering("250-VRFY\r\n");
  options.settings.disable_vrfy_command = true;
  const Heard disabled = Talk(std::move(options), all, 8);
  EXPECT_EQ(disabled.codes, "502 502 502 250 502 502 502 250 221");
  EXPECT_EQ(disabled.replies[0], "502 VRFY command is disabled\r\n");
  EXPECT_EQ(disabled.ehlo.find("VRFY"), std::string::npos);
}

TEST(Envelope, E067HelpIsAnsweredByUs) {
  const Heard heard =
      Talk({}, Group({"HELP\r\n", kMail, "HELP MAIL\r\n", "RSET\r\n"}), 4);
  EXPECT_EQ(heard.codes, "214 250 214 250 221");
  EXPECT_FALSE(heard.BackendHas("HELP"));
}

// --- what is offered ---------------------------------------------------------

TEST(Offer, HoldsNothingThatTheBackendOrWeDoNotDo) {
  const Heard heard = Talk(
      Offering("250-FUTURERELEASE 1 2\r\n250-REQUIRETLS\r\n250-BURL\r\n"
               "250-DELIVERBY\r\n250-HELP\r\n250-XFORWARD NAME\r\n250-DSN\r\n"),
      "NOOP\r\n", 1);
  EXPECT_EQ(heard.ehlo,
            "250-mx.example\r\n250-STARTTLS\r\n250-PIPELINING\r\n250 DSN\r\n");
}

// RFC 9422 section 3.
TEST(Offer, LimitsAreTheBackendsCutToOurs) {
  WorldOptions options =
      Offering("250-LIMITS RCPTMAX=5000 MAILMAX=3 X=1 RCPTDOMAINMAX=2\r\n");
  options.settings.recipient_limit = 1000;
  EXPECT_NE(Talk(options, "NOOP\r\n", 1)
                .ehlo.find("250 LIMITS RCPTMAX=1000 RCPTDOMAINMAX=2\r\n"),
            std::string::npos);
  options = Offering("250-LIMITS RCPTMAX=50\r\n");
  EXPECT_NE(Talk(options, "NOOP\r\n", 1).ehlo.find("LIMITS RCPTMAX=50\r\n"),
            std::string::npos);
  EXPECT_EQ(Talk(Offering(""), "NOOP\r\n", 1).ehlo.find("LIMITS"),
            std::string::npos);
}

TEST(Offer, ABackendsLimitsOfASessionBoundTheUsesOfAConnection) {
  for (const auto& [limits, connections] :
       std::vector<std::pair<std::string, int>>{
           {"MAILMAX=2", 3}, {"RCPTDOMAINMAX=4", 6}, {"RCPTMAX=9", 1}}) {
    WorldOptions options = Offering("250-LIMITS " + limits + "\r\n");
    options.settings.backend_max_connections = 1;
    World world(std::move(options));
    for (int i = 0; i < 2; ++i) world.AddClient(MakeClient(i, 3));
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 2; ++i) ExpectAllSent(world.client(i));
    EXPECT_EQ(world.backend_connections(), connections) << limits;
  }
}

TEST(Offer, LeavesOutWhatTheSettingsDiscard) {
  WorldOptions options;
  options.settings.discard_ehlo_keywords = {"dsn", "PIPELINING", "8bitmime",
                                            "ENHANCEDSTATUSCODES", "SIZE"};
  const Heard heard = Talk(std::move(options),
                           {{"MAIL FROM:<x@c0.example> RET=FULL\r\n", 1},
                            {"MAIL FROM:<x@c0.example> BODY=8BITMIME\r\n", 1},
                            {"MAIL FROM:<x@c0.example> SIZE=10\r\n", 1},
                            {"MAIL FROM:<x@c0.example> SMTPUTF8\r\n", 1}});
  EXPECT_EQ(heard.codes, "555 555 555 250 221");
  EXPECT_EQ(heard.replies[0], "555 Unsupported option\r\n");
  EXPECT_EQ(heard.ehlo,
            "250-mx.example\r\n250-STARTTLS\r\n250-SMTPUTF8\r\n"
            "250-CHUNKING\r\n250 BINARYMIME\r\n");
}

}  // namespace
}  // namespace tlspost::sim
