// AUTH as clients say it, well and badly: who hears what, what the backend
// sees of it, and what the log tells.

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "common/smtp/base64.h"
#include "common/smtp/line_buffer.h"
#include "tests/sim/auth_scene.h"
#include "tests/sim/misdeeds.h"
#include "tests/sim/plans.h"
#include "tests/sim/replay.h"

namespace tlspost::sim {
namespace {

using std::chrono_literals::operator""min;
using std::chrono_literals::operator""ms;
using std::chrono_literals::operator""s;
using Xclient = SinkMta::Xclient;

// A client in plaintext that says `raw` after EHLO, with `replies` awaited.
ClientPlan RawClient(std::string raw, int replies) {
  ClientPlan plan = MakeClient(0, 0);
  plan.start_after = 1s;
  plan.raw = {RawStep{std::move(raw), replies}};
  return plan;
}

std::string AuthLine(const SimAuth& auth) {
  return "AUTH " + auth.mechanism + " " + auth.Responses()[0] + "\r\n";
}

TEST(Auth, E070EachMechanismPinsAConnectionForAllMails) {
  ForEachWorld(3 * 2 * 3 * 3 * 4, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.sink.xclient = kXclients[number / 6 % 3];
    World world(std::move(options));
    const std::string_view mechanism = kMechanisms[number % 3];
    ClientPlan plan = MakeAuthClient(0, 3, mechanism, number / 3 % 2 == 0);
    const ClientTls tls[] = {ClientTls::kNone, ClientTls::kTls12,
                             ClientTls::kTls13};
    plan.tls = tls[number / 18 % 3];
    plan.pipelining = number / 54 % 2 == 0;
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(0).user(), "user0@users.example");
    for (const SinkMta::Message& message : world.ledger().accepted()) {
      EXPECT_EQ(message.connection, world.ledger().accepted()[0].connection);
    }
    EXPECT_EQ(world.counters().auth_succeeded, 1);
    EXPECT_EQ(world.counters().auth_failed, 0);
    EXPECT_TRUE(world.LogHas(" auth=1 "));
    const std::string sasl =
        "client=unknown[192.0.2.10], sasl_method=" + std::string(mechanism) +
        (mechanism == "X-STEPS" ? ", from="
                                : ", sasl_username=user0@users.example, from=");
    EXPECT_TRUE(world.LogHas(sasl));
    // It was said goodbye to, and not lent again.
    EXPECT_TRUE(world.backend_dialogue().ends_with("QUIT\n"));
  });
}

// One user among clients who are nobody, over few connections: the ledger
// knows under whose name each mail was taken.
TEST(Auth, E070ThePinnedConnectionServesNobodyElse) {
  ForEachWorld(Scaled(240), [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.sink.xclient = kXclients[number % 3];
    options.settings.backend_max_connections = 1 + number / 3 % 2;
    options.settings.pool_wait_timeout = Settings::Hours(1);
    World world(std::move(options));
    for (int i = 0; i < 4; ++i) {
      ClientPlan plan = MakeClient(i, 2);
      if ((number >> i) % 2 == 0) {
        plan = MakeAuthClient(i, 3, kMechanisms[(number + i) % 3]);
      }
      plan.start_after = 1s + (number / 7 % 4) * i * 10ms;
      plan.pause = (number % 2) * 20ms;
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (int i = 0; i < 4; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(Auth, ThePinnedConnectionIsFreeWhenItsClientGoes) {
  ForEachWorld(60, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.backend_max_connections = 1;
    options.settings.pool_wait_timeout = Settings::Hours(1);
    World world(std::move(options));
    ClientPlan idle = MakeAuthClient(0, 0, "PLAIN");
    idle.says_quit = number % 2 == 0;
    if (!idle.says_quit) {
      idle.stop = Stop::kVanish;
      const size_t responses = idle.auths[0].Responses()[0].size() + 2;
      idle.stop_after = 17 + 12 + responses + 1;
      idle.raw = {RawStep{"NOOP\r\n", 1}};
    }
    world.AddClient(std::move(idle));
    ClientPlan second = MakeClient(1, 2);
    second.start_after = 2s;
    world.AddClient(std::move(second));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(1));
    EXPECT_EQ(world.counters().auth_succeeded, 1);
  });
}

TEST(Auth, AFailedTryIsNoLoginAndItsConnectionIsNotUsedAgain) {
  ForEachWorld(3 * 2 * 10, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    World world(std::move(options));
    const std::string_view mechanism = kMechanisms[number % 3];
    ClientPlan plan = MakeAuthClient(0, 2, mechanism);
    const SimAuth wrong = WrongAuth(0, mechanism, number / 3 % 2 == 0);
    plan.auths = {wrong, RightAuth(0, mechanism)};
    if (number % 5 == 0) plan.auths = {wrong, wrong};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.client(0).auth_codes()[0], 535);
    EXPECT_TRUE(world.LogHas(
        "warning: unknown[192.0.2.10]: SASL " + std::string(mechanism) +
        " authentication failed: 535 5.7.8 Error: authentication failed"));
    EXPECT_TRUE(world.LogHas(number % 5 == 0 ? " auth=0/2 " : " auth=1/2 "));
    EXPECT_EQ(world.counters().auth_failed, number % 5 == 0 ? 2 : 1);
  });
}

TEST(Auth, TooManyFailedTriesEndTheSession) {
  ForEachWorld(40, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.auth_error_limit = 1 + static_cast<int>(number % 4);
    World world(std::move(options));
    ClientPlan plan = MakeAuthClient(0, 1, "LOGIN");
    plan.auths.assign(6, WrongAuth(0, "LOGIN"));
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const SimClient& client = world.client(0);
    EXPECT_EQ(CountReplies(client, "535 "), 1 + static_cast<int>(number % 4));
    EXPECT_EQ(client.replies().back(),
              "421 4.7.0 mx.example Error: too many errors\r\n");
    EXPECT_EQ(world.ledger().accepted().size(), 0u);
  });
}

// --- where AUTH may stand ----------------------------------------------------

TEST(Auth, E068NotOfferedAndNotTakenBeforeTls) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.tls_auth_only = true;
    const bool encrypt = number % 2 == 1;
    if (encrypt) {
      options.settings.tls_security_level = TlsSecurityLevel::kEncrypt;
    }
    World world(std::move(options));
    world.AddClient(RawClient(AuthLine(RightAuth(0, "PLAIN")), 1));
    ClientPlan in_tls = MakeAuthClient(1, 1, "PLAIN");
    in_tls.tls = ClientTls::kTls13;
    in_tls.first_helo = "before.example";
    world.AddClient(std::move(in_tls));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& plain = world.client(0).replies();
    EXPECT_EQ(plain[1].find("AUTH"), std::string::npos);
    EXPECT_EQ(plain[2],
              encrypt ? "530 5.7.0 Must issue a STARTTLS command first\r\n"
                      : "538 5.7.11 Encryption required for requested "
                        "authentication mechanism\r\n");
    const std::vector<std::string>& tls = world.client(1).replies();
    EXPECT_EQ(tls[1].find("AUTH"), std::string::npos);
    EXPECT_NE(tls[3].find("250-AUTH PLAIN LOGIN X-STEPS\r\n"),
              std::string::npos);
    ExpectAllSent(world.client(1));
    EXPECT_EQ(world.backend_dialogue().find(AuthLine(RightAuth(0, "PLAIN"))),
              std::string::npos);
  });
}

TEST(Auth, E069RefusedWithinATransaction) {
  ForEachWorld(40, [](uint64_t number) {
    World world(AuthOptions(number));
    const std::string auth = AuthLine(RightAuth(0, "PLAIN"));
    const std::string mail = "MAIL FROM:<m0@c0.example>\r\n";
    ClientPlan plan = RawClient(mail, 1);
    if (number % 2 == 0) {
      plan.raw = {RawStep{mail, 1}, RawStep{auth, 1}};
    } else {
      plan.raw = {RawStep{mail + auth, 2}};
    }
    plan.raw.push_back(RawStep{"RSET\r\n", 1});
    plan.raw.push_back(RawStep{auth, 1});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& replies = world.client(0).replies();
    EXPECT_EQ(replies[3], "503 5.5.1 Error: MAIL transaction in progress\r\n");
    EXPECT_TRUE(replies[5].starts_with("235 "));
  });
}

TEST(Auth, E071RefusedAfterSuccessAndNotOfferedAgain) {
  ForEachWorld(20, [](uint64_t number) {
    World world(AuthOptions(number));
    const std::string auth = AuthLine(RightAuth(0, "PLAIN"));
    ClientPlan plan = RawClient(auth, 1);
    plan.raw.push_back(RawStep{auth, 1});
    plan.raw.push_back(RawStep{"EHLO c0.example\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH LOGIN\r\n", 1});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& replies = world.client(0).replies();
    EXPECT_TRUE(replies[2].starts_with("235 "));
    EXPECT_EQ(replies[3], "503 5.5.1 Error: already authenticated\r\n");
    EXPECT_EQ(replies[4].find("AUTH"), std::string::npos);
    EXPECT_EQ(replies[5], "503 5.5.1 Error: already authenticated\r\n");
    EXPECT_EQ(world.counters().auth_succeeded, 1);
  });
}

TEST(Auth, NotBeforeEhloNorWhereNobodyOffersIt) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    if (number % 2 == 0) options.sink.auth = "EXTERNAL SCRAM-SHA-256-PLUS";
    if (number % 2 == 1) options.settings.sasl_auth_enable = false;
    World world(std::move(options));
    ClientPlan plan = RawClient("AUTH LOGIN\r\n", 1);
    plan.says_hello = false;
    plan.raw.push_back(RawStep{"HELO c0.example\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH LOGIN\r\n", 1});
    plan.raw.push_back(RawStep{"EHLO c0.example\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH EXTERNAL =\r\n", 1});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& replies = world.client(0).replies();
    EXPECT_EQ(replies[1], "503 5.5.1 Error: send EHLO first\r\n");
    EXPECT_EQ(replies[3], "503 5.5.1 Error: send EHLO first\r\n");
    EXPECT_EQ(replies[4].find("AUTH"), std::string::npos);
    EXPECT_EQ(replies[5], "503 5.5.1 Error: authentication not enabled\r\n");
    EXPECT_EQ(world.backend_dialogue().find("AUTH"), std::string::npos);
  });
}

// --- what is no response -----------------------------------------------------

TEST(Auth, WhatComesAheadOfTheReplyIsNeitherResponseNorCommand) {
  const SimAuth login = RightAuth(0, "LOGIN");
  const std::vector<std::string> words = login.Responses();
  const std::string evil = "MAIL FROM:<evil@c0.example>\r\n";
  const std::string pipelined[] = {
      AuthLine(RightAuth(0, "PLAIN")) + evil,
      "AUTH LOGIN\r\n" + words[0] + "\r\n" + words[1] + "\r\n",
      "AUTH LOGIN\r\nQUIT\r\n",
      "AUTH LOGIN\r\n*\r\n",
      AuthLine(WrongAuth(0, "PLAIN")) + "x",
  };
  constexpr std::string_view kRefusal =
      "554 5.5.0 Error: SMTP protocol synchronization\r\n";
  ForEachWorld(std::size(pipelined) * 20, [&](uint64_t number) {
    World world(AuthOptions(number));
    const std::string& sent = pipelined[number % std::size(pipelined)];
    world.AddClient(RawClient(sent, 1));
    // The rest comes a moment later: when AUTH is under way.
    ClientPlan later = RawClient(sent.substr(0, sent.find('\n') + 1), 0);
    later.raw.push_back(RawStep{sent.substr(sent.find('\n') + 1), 1});
    later.tls = ClientTls::kTls13;
    world.AddClient(std::move(later));
    EXPECT_EQ(world.Run(), "");
    EXPECT_EQ(world.client(0).replies().back(), kRefusal);
    EXPECT_TRUE(world.LogHas(
        "unknown[192.0.2.10]: improper command pipelining after AUTH"));
    const std::string& dialogue = world.backend_dialogue();
    EXPECT_EQ(dialogue.find("evil"), std::string::npos);
    EXPECT_EQ(world.client(1).replies().back(), kRefusal);
    EXPECT_EQ(dialogue.find(words[0]), std::string::npos);
  });
}

TEST(Auth, LinesOfTheExchangeAreLongAndNothingElse) {
  const std::string longest(smtp::kAuthLineLengthLimit, 'A');
  struct Case {
    std::string response;
    std::string reply;
  };
  const Case cases[] = {
      {longest, "535 5.7.8 Error: authentication failed\r\n"},
      {longest + "A",
       "500 5.5.6 Error: authentication exchange line too "
       "long\r\n"},
      {"MAIL FROM:<evil@c0.example>",
       "501 5.5.2 Error: authentication response is not base64\r\n"},
      {"=A", "501 5.5.2 Error: authentication response is not base64\r\n"},
      {"", "501 5.5.2 Malformed response\r\n"},
      {"*", "501 5.7.0 Authentication cancelled\r\n"},
  };
  ForEachWorld(std::size(cases) * 10, [&](uint64_t number) {
    const Case& tried = cases[number % std::size(cases)];
    World world(AuthOptions(number));
    ClientPlan plan = RawClient("AUTH PLAIN\r\n", 1);
    plan.raw.push_back(RawStep{tried.response + "\r\n", 1});
    // The limit of commands holds again.
    plan.raw.push_back(RawStep{"NOOP " + longest + "\r\n", 1});
    plan.mails = {MakeMail(0, 0)};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& replies = world.client(0).replies();
    EXPECT_EQ(replies[3], tried.reply);
    EXPECT_EQ(replies[4], "500 5.5.2 Error: line too long\r\n");
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.backend_dialogue().find("evil"), std::string::npos);
    EXPECT_FALSE(world.LogHas("AAAA"));
    EXPECT_EQ(world.counters().auth_failed, 1);
  });
}

TEST(Auth, TheCommandItselfMayBeAsLong) {
  ForEachWorld(20, [&](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    ConnectionFaults faults;
    faults.to_server.random_cuts = number % 2 == 0;
    options.client_faults = [=](int) { return faults; };
    World world(std::move(options));
    const std::string_view start = "AUTH PLAIN ";
    const std::string response(smtp::kAuthLineLengthLimit - start.size(), 'A');
    ClientPlan plan = RawClient(std::string(start) + response + "\r\n", 1);
    plan.raw.push_back(RawStep{"auth PLAIN " + response + "A\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH PLAIN =\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH PLAIN AA AA\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH hunter2\r\n", 1});
    plan.raw.push_back(RawStep{"AUTH PLAIN *\r\n", 1});
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    const std::vector<std::string>& replies = world.client(0).replies();
    EXPECT_EQ(replies[2], "535 5.7.8 Error: authentication failed\r\n");
    EXPECT_EQ(replies[3], "500 5.5.2 Error: line too long\r\n");
    EXPECT_EQ(replies[4], "501 5.5.2 Malformed response\r\n");
    EXPECT_EQ(replies[5], "501 5.5.4 Syntax: AUTH mechanism\r\n");
    EXPECT_EQ(replies[6],
              "504 5.5.4 Error: unrecognized authentication type\r\n");
    EXPECT_EQ(replies[7],
              "501 5.5.2 Error: authentication response is not base64\r\n");
    EXPECT_FALSE(world.LogHas("hunter2"));
    EXPECT_FALSE(world.LogHas("AAAA"));
  });
}

// --- what follows ------------------------------------------------------------

TEST(Auth, E055TheAuthParameterIsForTheAuthenticatedAlone) {
  ForEachWorld(20, [](uint64_t number) {
    World world(AuthOptions(number));
    for (int i = 0; i < 2; ++i) {
      ClientPlan plan = MakeAuthClient(i, 2, "PLAIN");
      if (i == 1) plan.auths.clear();
      plan.mails[0].parameters = " AUTH=<> BODY=8BITMIME";
      plan.mails[1].parameters = " AUTH=me+40here.example";
      world.AddClient(std::move(plan));
    }
    EXPECT_EQ(world.Run(), "");
    for (const SinkMta::Message& message : world.ledger().accepted()) {
      const bool first = message.sender.starts_with("m0@");
      const std::string kept = first ? "<>" : "me+40here.example";
      EXPECT_EQ(message.auth_parameter, message.user.empty() ? "" : kept);
    }
    for (int i = 0; i < 2; ++i) ExpectAllSent(world.client(i));
  });
}

TEST(Auth, ANameChangedAfterwardsReachesTheBackendByEhlo) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.sink.xclient = number % 2 == 0 ? Xclient::kMany : Xclient::kOnce;
    World world(std::move(options));
    ClientPlan plan = MakeAuthClient(0, 2, "PLAIN");
    plan.first_helo = "before.example";
    plan.raw = {RawStep{"EHLO c0.example\r\n", 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    ExpectAllSent(world.client(0));
  });
}

// RFC 3207 section 4.2: who was who in plaintext is nobody under TLS.
TEST(Auth, StartTlsForgetsIt) {
  ForEachWorld(20, [](uint64_t number) {
    WorldOptions options = AuthOptions(number);
    options.settings.backend_max_connections = 1;
    World world(std::move(options));
    ClientPlan plan = MakeClient(0, 1);
    plan.start_after = 1s;
    plan.first_helo = "before.example";
    plan.tls = ClientTls::kTls13;
    plan.before_starttls = {RawStep{AuthLine(RightAuth(0, "PLAIN")), 1}};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    // The ledger wants the mail under nobody's name.
    ExpectAllSent(world.client(0));
    EXPECT_EQ(world.counters().auth_succeeded, 1);
  });
}

// A backend that repeats what it heard would put it into our log, and into a
// trace.
TEST(Auth, WordsThatRepeatTheClientsAreNotLogged) {
  ForEachWorld(3 * 8, [](uint64_t number) {
    const SimAuth wrong = WrongAuth(0, kMechanisms[number % 3]);
    const std::vector<std::string> words = wrong.Responses();
    const std::string repeated[] = {words.front(), words.back(), wrong.user,
                                    wrong.password};
    const std::string& words_of_reply = repeated[number / 3 % 4];
    if (wrong.mechanism == "X-STEPS" && number / 3 % 4 >= 2) return;
    WorldOptions options = AuthOptions(number);
    options.traced = true;
    options.mischief =
        [=](const SinkMta::Event& event) -> std::optional<SinkMta::Misdeed> {
      if (event.verb != "RESPONSE" || event.line != words.back()) {
        return std::nullopt;
      }
      SinkMta::Misdeed misdeed;
      misdeed.reply = "535 5.7.8 Error: \"" + words_of_reply + "\"?\r\n";
      return misdeed;
    };
    World world(std::move(options));
    ClientPlan plan = MakeAuthClient(0, 0, wrong.mechanism);
    plan.auths = {wrong};
    world.AddClient(std::move(plan));
    EXPECT_EQ(world.Run(), "");
    EXPECT_TRUE(world.LogHas(
        "authentication failed: 535 (its words repeat the client's)"));
    bool is_told = false;
    for (const std::string& line : world.trace()) {
      EXPECT_EQ(line.find(words_of_reply), std::string::npos) << line;
      is_told = is_told || line.ends_with("S: 535 ***");
    }
    EXPECT_TRUE(is_told);
  });
}

// RFC 9422 section 4.1: on another connection nobody would know who it is, so
// its session ends, and it may come again.
TEST(Auth, Rfc9422_MailMaxEndsTheSession) {
  for (const bool session : {false, true}) {
    WorldOptions options = AuthOptions(1);
    options.sink.ehlo_lines = "250-LIMITS MAILMAX=2\r\n";
    if (session) options.settings.pool_mode = PoolMode::kSession;
    World world(std::move(options));
    world.AddClient(MakeAuthClient(0, 3, "PLAIN"));
    EXPECT_EQ(world.Run(), "");
    const auto& results = world.client(0).results();
    ASSERT_EQ(results.size(), 3u);
    EXPECT_EQ(results[0].final_code, 250);
    EXPECT_EQ(results[1].final_code, 250);
    EXPECT_EQ(results[2].mail, 421);
    EXPECT_TRUE(world.LogHas("it takes no more mails per session"));
  }
}

}  // namespace
}  // namespace tlspost::sim
