// Who sends with what TLS: one entry per network and name, in bounded memory.

#include "proxy/sender_table.h"

#include <gtest/gtest.h>

#include <chrono>
#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

io::Endpoint SenderAt(std::string_view address) {
  return *io::Endpoint::FromIp(address, 40000);
}

io::WallTime At(int64_t seconds) {
  return io::WallTime(std::chrono::seconds(seconds));
}

void NoteSession(SenderTable& table, std::string_view address,
                 std::string_view helo, TlsUse tls, uint32_t messages,
                 int64_t when) {
  const io::Endpoint client = SenderAt(address);
  table.Note({client, helo, tls, false, messages}, At(when));
}

constexpr auto kPlain = static_cast<size_t>(TlsUse::kNone);
constexpr auto kOld = static_cast<size_t>(TlsUse::kTls10);
constexpr auto kNew = static_cast<size_t>(TlsUse::kTls13);

TEST(SenderTable, ASenderIsANetworkAndAName) {
  SenderTable table;
  NoteSession(table, "192.0.2.1", "a.example", TlsUse::kNone, 1, 10);
  NoteSession(table, "192.0.2.200", "a.example", TlsUse::kTls10, 2, 20);
  NoteSession(table, "192.0.3.1", "a.example", TlsUse::kTls13, 3, 30);
  NoteSession(table, "192.0.2.1", "b.example", TlsUse::kTls13, 4, 40);
  NoteSession(table, "::ffff:192.0.2.9", "a.example", TlsUse::kNone, 5, 50);
  NoteSession(table, "2001:db8::1", "a.example", TlsUse::kNone, 6, 60);
  NoteSession(table, "2001:db8::2:1", "a.example", TlsUse::kNone, 7, 70);
  const std::vector<Sender> all = table.All();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(FormatSenderNetwork(all[0].network), "2001:db8::/64");
  EXPECT_EQ(all[0].messages[kPlain], 13u);
  const Sender& first = all[1];
  EXPECT_EQ(FormatSenderNetwork(first.network), "192.0.2.0/24");
  EXPECT_EQ(first.helo.view(), "a.example");
  EXPECT_EQ(first.sessions[kPlain], 2u);
  EXPECT_EQ(first.messages[kPlain], 6u);
  EXPECT_EQ(first.messages[kOld], 2u);
  EXPECT_EQ(first.messages[kNew], 0u);
  EXPECT_EQ(first.last_seen_s[kPlain], 50);
  EXPECT_EQ(first.last_seen_s[kOld], 20);
  EXPECT_EQ(first.last_s(), 50);
  EXPECT_EQ(first.all_messages(), 8u);
  EXPECT_EQ(first.all_sessions(), 3u);
}

TEST(SenderTable, AFailedHandshakeIsNoSession) {
  SenderTable table;
  const io::Endpoint client = SenderAt("192.0.2.1");
  table.Note({client, "old.example", TlsUse::kNone, true, 0}, At(5));
  const Sender sender = table.All().front();
  EXPECT_EQ(sender.failed_handshakes, 1u);
  EXPECT_EQ(sender.all_sessions(), 0u);
  EXPECT_EQ(sender.last_s(), 5);
}

TEST(SenderTable, WhoWasNotSeenForLongestGoes) {
  SenderTable table(/*max_senders=*/3);
  NoteSession(table, "192.0.1.1", "one", TlsUse::kNone, 1, 1);
  NoteSession(table, "192.0.2.1", "two", TlsUse::kNone, 1, 2);
  NoteSession(table, "192.0.3.1", "three", TlsUse::kNone, 1, 3);
  NoteSession(table, "192.0.1.1", "one", TlsUse::kNone, 1, 4);
  NoteSession(table, "192.0.4.1", "four", TlsUse::kNone, 1, 5);
  EXPECT_EQ(table.size(), 3u);
  EXPECT_EQ(table.forgotten(), 1);
  std::string names;
  for (const Sender& sender : table.All()) {
    names.append(sender.helo.view()).append(" ");
  }
  EXPECT_EQ(names, "four one three ");
  // It begins anew when it is seen again.
  NoteSession(table, "192.0.2.1", "two", TlsUse::kNone, 1, 6);
  EXPECT_EQ(table.All().front().messages[kPlain], 1u);
}

TEST(SenderTable, OneNetworkCannotPushOutOthersByNames) {
  SenderTable table(/*max_senders=*/100);
  NoteSession(table, "198.51.100.1", "honest", TlsUse::kTls13, 1, 1);
  for (int i = 0; i < 1000; ++i) {
    NoteSession(table, "192.0.2.1", absl::StrFormat("name%d", i), TlsUse::kNone,
                1, 2 + i);
  }
  EXPECT_EQ(table.size(), 1u + SenderTable::kMaxNames + 1);
  EXPECT_EQ(table.forgotten(), 0);
  const Sender others = table.All().front();
  EXPECT_EQ(others.helo.view(), SenderTable::kOtherNames);
  EXPECT_EQ(others.messages[kPlain], 1000u - SenderTable::kMaxNames);
}

// When the names of a network are forgotten there is room for others.
TEST(SenderTable, ForgottenNamesMakeRoom) {
  SenderTable table(/*max_senders=*/20);
  for (int i = 0; i < 1000; ++i) {
    NoteSession(table, "192.0.2.1", absl::StrFormat("name%d", i), TlsUse::kNone,
                1, i);
    NoteSession(table, absl::StrFormat("10.%d.%d.1", i / 250, i % 250), "x",
                TlsUse::kNone, 1, i);
  }
  EXPECT_EQ(table.size(), 20u);
  int of_network = 0;
  for (const Sender& sender : table.All()) {
    if (FormatSenderNetwork(sender.network) == "192.0.2.0/24") ++of_network;
  }
  EXPECT_GT(of_network, 1);
}

TEST(SenderTable, ALongNameIsCut) {
  SenderTable table;
  const std::string name(300, 'x');
  NoteSession(table, "192.0.2.1", name, TlsUse::kNone, 1, 1);
  NoteSession(table, "192.0.2.1", name + "y", TlsUse::kNone, 1, 2);
  ASSERT_EQ(table.size(), 1u);
  EXPECT_EQ(table.All().front().helo.view(), name.substr(0, 64));
}

TEST(SenderTable, AnEntryIsSmall) { EXPECT_LE(sizeof(Sender), 224u); }

}  // namespace
}  // namespace tlspost
