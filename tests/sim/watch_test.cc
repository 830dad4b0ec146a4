// What an administrator is told afterwards: who sent with what TLS, which
// limits were hit, what was refused. That the sums are right is a rule of every
// world (World::CheckCounters).

#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "tests/sim/plans.h"
#include "tests/sim/world.h"

namespace tlspost::sim {
namespace {

ClientPlan Sending(int number, std::string address, std::string helo,
                   ClientTls tls) {
  ClientPlan plan = MakeClient(number);
  plan.address = std::move(address);
  plan.helo = std::move(helo);
  plan.tls = tls;
  return plan;
}

const Sender* FindSender(const World& world, std::string_view helo) {
  for (const Sender& sender : world.senders()) {
    if (sender.helo.view() == helo) return &sender;
  }
  return nullptr;
}

uint32_t MessagesWith(const Sender& sender, TlsUse tls) {
  return sender.messages[static_cast<size_t>(tls)];
}

TEST(Watch, SendersByNetworkNameAndTls) {
  World world{WorldOptions()};
  world.AddClient(
      Sending(0, "198.51.100.1", "plain.example", ClientTls::kNone));
  world.AddClient(
      Sending(1, "198.51.100.9", "plain.example", ClientTls::kNone));
  world.AddClient(
      Sending(2, "198.51.100.9", "plain.example", ClientTls::kTls13));
  world.AddClient(
      Sending(3, "203.0.113.1", "twelve.example", ClientTls::kTls12));
  EXPECT_EQ(world.Run(), "");
  const Sender* plain = FindSender(world, "plain.example");
  ASSERT_NE(plain, nullptr);
  EXPECT_EQ(FormatSenderNetwork(plain->network), "198.51.100.0/24");
  EXPECT_EQ(MessagesWith(*plain, TlsUse::kNone), 2u);
  EXPECT_EQ(MessagesWith(*plain, TlsUse::kTls13), 1u);
  EXPECT_EQ(plain->all_sessions(), 3u);
  const Sender* twelve = FindSender(world, "twelve.example");
  ASSERT_NE(twelve, nullptr);
  EXPECT_EQ(MessagesWith(*twelve, TlsUse::kTls12), 1u);
  EXPECT_EQ(twelve->all_messages(), 1u);
  const Counters& counters = world.counters();
  EXPECT_EQ(counters.messages_by_tls[TlsUse::kNone], 2);
  EXPECT_EQ(counters.messages_by_tls[TlsUse::kTls12], 1);
  EXPECT_EQ(counters.messages_by_tls[TlsUse::kTls13], 1);
}

// The name from before STARTTLS is remembered of one whose handshake fails,
// for this record and for nothing else.
TEST(Watch, AFailedHandshakeIsItsSendersOwn) {
  World world{WorldOptions()};
  ClientPlan plan = Saying({"EHLO old.example", "STARTTLS"});
  plan.address = "198.51.100.1";
  plan.raw.push_back({"no handshake at all\r\n", 0});
  plan.says_hello = false;
  plan.says_quit = false;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  const Sender* old = FindSender(world, "old.example");
  ASSERT_NE(old, nullptr);
  EXPECT_EQ(old->failed_handshakes, 1u);
  EXPECT_EQ(old->all_sessions(), 0u);
}

TEST(Watch, WhoSaysNothingIsNoSender) {
  World world{WorldOptions()};
  ClientPlan plan = Saying({"NOOP"});
  plan.says_hello = false;
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  EXPECT_TRUE(world.senders().empty());
}

TEST(Watch, RefusalsAndTheLimitBehindThem) {
  WorldOptions options;
  options.settings.recipient_limit = 1;
  World world(std::move(options));
  ClientPlan plan = Saying({"MAIL FROM:<a@client.example>", "RCPT TO:<b@x>",
                            "RCPT TO:<c@x>", "RCPT TO:<d@x>", "RSET", "BOGUS"});
  plan.address = "198.51.100.1";
  plan.helo = "limits.example";
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  const Counters& counters = world.counters();
  EXPECT_EQ(counters.limits_hit[Limit::kRecipient], 2);
  EXPECT_EQ(counters.limits_hit.Sum(), 2);
  const size_t rcpt = LabelIndex(kCommandLabels, "rcpt");
  EXPECT_EQ(counters.client_commands.at(rcpt, 0), 1);
  EXPECT_EQ(counters.client_commands.at(rcpt, 1), 2);
  EXPECT_EQ(counters.client_replies.at(ReplyClassIndex(452)), 2);
  EXPECT_EQ(counters.client_replies.at(ReplyClassIndex(500)), 1);
  ASSERT_EQ(world.refusals().size(), 3u);
  const Refusal& first = world.refusals().front();
  EXPECT_EQ(first.client.view(), "198.51.100.1");
  EXPECT_EQ(first.helo.view(), "limits.example");
  EXPECT_EQ(first.command.view(), "RCPT");
  EXPECT_EQ(first.reply.view(), "452 4.5.3 Error: too many recipients");
  EXPECT_EQ(world.refusals().back().command.view(), "");
}

TEST(Watch, TheBackendsRepliesByCommand) {
  World world{WorldOptions()};
  ClientPlan plan = Sending(0, "198.51.100.1", "mx.example", ClientTls::kNone);
  world.AddClient(std::move(plan));
  EXPECT_EQ(world.Run(), "");
  const Counters& counters = world.counters();
  const auto replies = [&](BackendStep step, int code) {
    return counters.backend_replies.at(static_cast<size_t>(step),
                                       ReplyClassIndex(code));
  };
  EXPECT_EQ(replies(BackendStep::kMail, 250), 1);
  EXPECT_EQ(replies(BackendStep::kData, 354), 1);
  EXPECT_EQ(replies(BackendStep::kMessage, 250), 1);
  EXPECT_EQ(replies(BackendStep::kXclient, 220), 1);
  EXPECT_EQ(counters.phases[static_cast<size_t>(Phase::kBackendMail)].count(),
            1);
  EXPECT_EQ(counters.transactions, 1);
  EXPECT_GT(counters.message_octets, 0);
  EXPECT_GT(counters.message_recipients, 0);
}

}  // namespace
}  // namespace tlspost::sim
