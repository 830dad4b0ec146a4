// The report: what the workers' tables add up to, and what it says of it.

#include "proxy/tls_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "absl/strings/str_format.h"

namespace tlspost {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

constexpr size_t kWithout = static_cast<size_t>(TlsUse::kNone);
constexpr size_t kTls12 = static_cast<size_t>(TlsUse::kTls12);
constexpr size_t kTls13 = static_cast<size_t>(TlsUse::kTls13);

// A sender with so many messages, each in a session of its own.
Sender SenderWith(int network, std::string_view helo, size_t tls,
                  uint32_t messages) {
  Sender sender;
  const auto endpoint = *io::Endpoint::FromIp(
      absl::StrFormat("10.%d.%d.7", network / 200, network % 200), 25);
  sender.network = SenderNetworkOf(endpoint);
  sender.helo = FixedText<Sender::kMaxHeloOctets>(helo);
  sender.sessions[tls] = messages;
  sender.messages[tls] = messages;
  sender.last_seen_s[tls] = 1'700'000'000;
  return sender;
}

TEST(TlsReportTest, SumsUpTheWorkers) {
  Sender both = SenderWith(1, "mx", kWithout, 2);
  both.sessions[kTls13] = 1;
  const TlsReport report = MakeTlsReport(
      {{{SenderWith(1, "mx", kWithout, 3), SenderWith(2, "mx", kTls13, 4)}, 5},
       {{both}, 6}},
      1'600'000'000, 1'700'000'100);
  ASSERT_EQ(report.senders.size(), 2u);
  EXPECT_EQ(report.known, 2u);
  EXPECT_EQ(report.forgotten, 11);
  EXPECT_EQ(report.senders[0].messages[kWithout], 5u);
  EXPECT_EQ(report.senders[0].sessions[kTls13], 1u);
  EXPECT_EQ(report.messages[kWithout], 5u);
  EXPECT_EQ(report.messages[kTls13], 4u);
}

TEST(TlsReportTest, SaysWhatEachSettingWouldRefuse) {
  Sender mixed = SenderWith(3, "mixed", kWithout, 1);
  mixed.sessions[kTls13] = 9;
  mixed.messages[kTls13] = 9;
  const TlsReport report = MakeTlsReport(
      {{{SenderWith(1, "plain", kWithout, 5), SenderWith(2, "old", 1, 7), mixed,
         SenderWith(4, "twelve", kTls12, 11)},
        0}},
      0, 1);
  EXPECT_EQ(report.what_if[0].messages, 6);
  EXPECT_EQ(report.what_if[0].senders, 2);
  EXPECT_EQ(report.what_if[0].senders_cut_off, 1);
  EXPECT_EQ(report.what_if[1].messages, 13);
  EXPECT_EQ(report.what_if[1].senders, 3);
  EXPECT_EQ(report.what_if[1].senders_cut_off, 2);
  EXPECT_EQ(report.what_if[2].messages, 24);
  EXPECT_EQ(report.what_if[2].senders, 4);
  EXPECT_EQ(report.what_if[2].senders_cut_off, 3);
}

// Scanners, monitors and the like send nothing that could be refused.
TEST(TlsReportTest, WhoSendsNothingCostsNothing) {
  Sender monitor = SenderWith(1, "monitor", kWithout, 0);
  monitor.sessions[kWithout] = 100;
  const TlsReport report = MakeTlsReport({{{monitor}, 0}}, 0, 1);
  EXPECT_EQ(report.what_if[0].senders, 0);
  EXPECT_TRUE(IsWeak(report.senders[0]));
}

TEST(TlsReportTest, TheWeakestComeFirstAndTheListEnds) {
  SenderList list;
  for (int i = 0; i < 3000; ++i) {
    list.senders.push_back(SenderWith(i, "mx", kTls13, 10));
  }
  list.senders.push_back(SenderWith(4000, "weak", kWithout, 1));
  const TlsReport report = MakeTlsReport({list}, 0, 1);
  EXPECT_EQ(report.known, 3001u);
  ASSERT_EQ(report.senders.size(), TlsReport::kMaxListed);
  EXPECT_EQ(report.senders.front().helo.view(), "weak");
  EXPECT_EQ(report.messages[kTls13], 30000u);
}

TEST(TlsReportTest, ForPeopleOnlyTheWeakAreNamed) {
  Sender failed = SenderWith(3, "", kTls13, 0);
  failed.failed_handshakes = 2;
  failed.last_failed_s = 1'700'000'000;
  const std::string text = FormatTlsReportText(
      MakeTlsReport({{{SenderWith(1, "plain.example", kWithout, 5),
                       SenderWith(2, "good.example", kTls13, 7), failed},
                      0}},
                    1'600'000'000, 1'700'000'100));
  EXPECT_THAT(text, HasSubstr("From 2020-09-13 12:26 to 2023-11-14 22:15 UTC: "
                              "12 messages from 3 senders, 5 of them without "
                              "TLS.\n"));
  EXPECT_THAT(text, HasSubstr("\n10.0.1.0/24            plain.example "));
  EXPECT_THAT(text, HasSubstr("\n10.0.3.0/24            -  "));
  EXPECT_THAT(text, Not(HasSubstr("good.example")));
  EXPECT_THAT(text, HasSubstr("tls_security_level = encrypt  "));
  EXPECT_THAT(text, HasSubstr(" 5 of 12, from 1 senders (1 cut off)\n"));
}

TEST(TlsReportTest, ANameIsNoMarkupAndNoControl) {
  const TlsReport report = MakeTlsReport(
      {{{SenderWith(1, "<b>\"\x1b[1m\xff", kWithout, 1)}, 0}}, 0, 1);
  EXPECT_THAT(FormatTlsReportJson(report),
              HasSubstr(R"("helo": "<b>\"\u001b[1m\ufffd")"));
  EXPECT_THAT(FormatTlsReportText(report), Not(HasSubstr("\x1b")));
}

TEST(TlsReportTest, WithoutWeakSendersItSaysSo) {
  const std::string text = FormatTlsReportText(
      MakeTlsReport({{{SenderWith(1, "mx", kTls13, 1)}, 0}}, 0, 1));
  EXPECT_THAT(text, HasSubstr("Nobody was without TLS"));
}

}  // namespace
}  // namespace tlspost
