// XCLIENT and XFORWARD as Postfix reads them.

#include "common/smtp/xclient.h"

#include <string>

#include "gtest/gtest.h"

namespace tlspost::smtp {
namespace {

constexpr std::string_view kPostfixList =
    "NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT";

ClientIdentity SomeClient() {
  ClientIdentity client;
  client.name = "mail.example.com";
  client.reverse_name = "rev.example.com";
  client.address = "192.0.2.1";
  client.port = 54321;
  client.helo = "helo.example.com";
  client.dest_address = "198.51.100.2";
  client.dest_port = 25;
  client.login = "user";
  return client;
}

TEST(Xclient, Finding3_AllAdvertisedAttributesAddressLast) {
  EXPECT_EQ(EncodeXclient(AttributeSet::FromList(kPostfixList), SomeClient()),
            "XCLIENT HELO=helo.example.com PROTO=ESMTP PORT=54321 "
            "DESTADDR=198.51.100.2 DESTPORT=25 LOGIN=user "
            "REVERSE_NAME=rev.example.com NAME=mail.example.com "
            "ADDR=192.0.2.1\r\n");
}

TEST(Xclient, Finding3_UnknownOnesAreUnavailableNeverLeftOut) {
  ClientIdentity client;
  client.address = "192.0.2.9";
  client.esmtp = false;
  client.name = "unknown";
  EXPECT_EQ(EncodeXclient(AttributeSet::FromList(kPostfixList), client),
            "XCLIENT HELO=[UNAVAILABLE] PROTO=SMTP PORT=[UNAVAILABLE] "
            "DESTADDR=[UNAVAILABLE] DESTPORT=[UNAVAILABLE] "
            "LOGIN=[UNAVAILABLE] REVERSE_NAME=[UNAVAILABLE] "
            "NAME=[UNAVAILABLE] ADDR=192.0.2.9\r\n");
}

TEST(Xclient, WhatIsNotKnownNowIsTemporarilyUnavailable) {
  ClientIdentity client = SomeClient();
  client.name.clear();
  client.name_later = true;
  const auto set = AttributeSet::FromList("NAME REVERSE_NAME ADDR");
  EXPECT_EQ(EncodeXclient(set, client),
            "XCLIENT REVERSE_NAME=rev.example.com NAME=[TEMPUNAVAIL] "
            "ADDR=192.0.2.1\r\n");
  client.reverse_name.clear();
  client.reverse_name_later = true;
  EXPECT_EQ(EncodeXclient(set, client),
            "XCLIENT REVERSE_NAME=[TEMPUNAVAIL] NAME=[TEMPUNAVAIL] "
            "ADDR=192.0.2.1\r\n");
  const auto forward = AttributeSet::FromList("NAME ADDR");
  EXPECT_EQ(EncodeXforward(forward, client, "id").front(),
            "XFORWARD NAME=[UNAVAILABLE] ADDR=192.0.2.1\r\n");
}

TEST(Xclient, OnlyWhatTheBackendLists) {
  // Exim and KumoMTA; TTL and the like are Dovecot's.
  const auto set = AttributeSet::FromList("addr Port TTL CLIENT-TRANSPORT");
  EXPECT_EQ(EncodeXclient(set, SomeClient()),
            "XCLIENT PORT=54321 ADDR=192.0.2.1\r\n");
  EXPECT_FALSE(set.Has(ClientAttribute::kName));
  EXPECT_TRUE(AttributeSet::FromList("").empty());
  EXPECT_EQ(set, AttributeSet::FromList("PORT ADDR"));
}

// What each MTA lists, with its own blanks, and what it then gets: all of that
// and nothing else (protocol.md A1).
TEST(Xclient, EachMtaGetsWhatItLists) {
  ClientIdentity client = SomeClient();
  client.login.clear();
  client.reverse_name.clear();
  const std::pair<std::string_view, std::string_view> lists[] = {
      // Postfix before 3.2, which has no DESTADDR.
      {"NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN",
       "HELO=helo.example.com PROTO=ESMTP PORT=54321 LOGIN=[UNAVAILABLE] "
       "REVERSE_NAME=[UNAVAILABLE] NAME=mail.example.com ADDR=192.0.2.1"},
      // Exim: PORT and ADDR have to be in the first one.
      {" ADDR NAME PORT LOGIN DESTADDR DESTPORT",
       "PORT=54321 DESTADDR=198.51.100.2 DESTPORT=25 LOGIN=[UNAVAILABLE] "
       "NAME=mail.example.com ADDR=192.0.2.1"},
      // Haraka.
      {"NAME ADDR PROTO HELO LOGIN",
       "HELO=helo.example.com PROTO=ESMTP LOGIN=[UNAVAILABLE] "
       "NAME=mail.example.com ADDR=192.0.2.1"},
      // Dovecot, whose further words are its own proxy's.
      {"ADDR PORT PROTO HELO LOGIN SESSION CLIENT-TRANSPORT TTL TIMEOUT",
       "HELO=helo.example.com PROTO=ESMTP PORT=54321 LOGIN=[UNAVAILABLE] "
       "ADDR=192.0.2.1"},
      // KumoMTA.
      {"ADDR PORT DESTADDR DESTPORT",
       "PORT=54321 DESTADDR=198.51.100.2 DESTPORT=25 ADDR=192.0.2.1"},
  };
  for (const auto& [list, attributes] : lists) {
    EXPECT_EQ(EncodeXclient(AttributeSet::FromList(list), client),
              "XCLIENT " + std::string(attributes) + "\r\n");
  }
}

// None of the lists makes more than one command, whatever the client says.
TEST(Xclient, OneCommandForEachListHoweverLongTheNames) {
  ClientIdentity client = SomeClient();
  client.address = "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff";
  client.helo = client.name = client.reverse_name = std::string(255, '=');
  for (const std::string_view list :
       {kPostfixList, std::string_view("ADDR NAME PORT LOGIN"),
        std::string_view("NAME ADDR PROTO HELO LOGIN"),
        std::string_view("ADDR PORT PROTO HELO LOGIN")}) {
    const std::string command =
        EncodeXclient(AttributeSet::FromList(list), client);
    EXPECT_LE(command.size(), kMaxXclientOctets);
    EXPECT_EQ(command.find('\n'), command.size() - 1);
    EXPECT_TRUE(command.ends_with(" ADDR=IPV6:" + client.address + "\r\n"));
  }
}

TEST(Xclient, Ipv6HasItsPrefix) {
  ClientIdentity client = SomeClient();
  client.address = "2001:db8::3";
  client.dest_address = "2001:db8::4";
  const auto set = AttributeSet::FromList("ADDR DESTADDR");
  EXPECT_EQ(EncodeXclient(set, client),
            "XCLIENT DESTADDR=IPV6:2001:db8::4 ADDR=IPV6:2001:db8::3\r\n");
}

TEST(XclientDeathTest, Finding4_AddressIsNeverUnavailable) {
  ClientIdentity client = SomeClient();
  client.address.clear();
  EXPECT_DEATH(EncodeXclient(AttributeSet::FromList("ADDR"), client),
               "address");
  EXPECT_DEATH(EncodeXclient(AttributeSet::FromList("NAME"), SomeClient()),
               "kAddress");
}

TEST(Xclient, Rfc3461_4_XtextEncodesAllThatCouldEndAValue) {
  std::string xtext = "=";
  AppendXtext("a+b=c d\r\n\xc3\xa9\x7f~!", xtext);
  EXPECT_EQ(xtext, "=a+2Bb+3Dc+20d+0D+0A+C3+A9+7F~!");
  ClientIdentity client = SomeClient();
  client.helo = "x NAME=evil\r\nRSET";
  EXPECT_EQ(EncodeXclient(AttributeSet::FromList("ADDR HELO"), client),
            "XCLIENT HELO=x+20NAME+3Devil+0D+0ARSET ADDR=192.0.2.1\r\n");
}

TEST(Xclient, OneCommandOf512OctetsWhateverTheClientIsCalled) {
  const auto set = AttributeSet::FromList(kPostfixList);
  for (size_t length = 0; length <= 300; ++length) {
    for (const char octet : {'a', ' '}) {
      ClientIdentity client = SomeClient();
      client.helo = client.name = client.reverse_name = client.login =
          std::string(length, octet);
      client.address = client.dest_address =
          "2001:db8:1111:2222:3333:4444:5555:6666";
      const std::string command = EncodeXclient(set, client);
      ASSERT_LE(command.size(), kMaxXclientOctets) << length;
      ASSERT_TRUE(command.ends_with(
          " ADDR=IPV6:2001:db8:1111:2222:3333:4444:5555:6666\r\n"));
    }
  }
}

TEST(Xclient, TooLongGivesUpReverseNameThenTheEndOfHelo) {
  const auto set = AttributeSet::FromList(kPostfixList);
  ClientIdentity client = SomeClient();
  client.reverse_name = std::string(200, 'r');
  client.helo = std::string(220, 'h');
  std::string command = EncodeXclient(set, client);
  EXPECT_NE(command.find("REVERSE_NAME=[UNAVAILABLE]"), std::string::npos);
  EXPECT_NE(command.find("HELO=" + client.helo + " "), std::string::npos);
  client.name = std::string(230, 'n');
  command = EncodeXclient(set, client);
  EXPECT_NE(command.find("HELO=" + std::string(64, 'h') + " "),
            std::string::npos);
  EXPECT_NE(command.find("NAME=" + client.name), std::string::npos);
  client.helo = std::string(100, ' ');  // cut between encoded octets
  EXPECT_NE(EncodeXclient(set, client).find("+20+20 PROTO"), std::string::npos);
}

TEST(Xforward, FillsWhatIsListedAndSplits) {
  const auto set =
      AttributeSet::FromList("NAME ADDR PROTO HELO SOURCE PORT IDENT");
  ClientIdentity client = SomeClient();
  EXPECT_EQ(EncodeXforward(set, client, "id-1"),
            std::vector<std::string>(
                {"XFORWARD HELO=helo.example.com PROTO=ESMTP SOURCE=REMOTE "
                 "IDENT=id-1 PORT=54321 NAME=mail.example.com "
                 "ADDR=192.0.2.1\r\n"}));
  client.helo = client.name = std::string(255, 'x');
  const auto split = EncodeXforward(set, client, "id-1");
  ASSERT_EQ(split.size(), 2u);
  for (const auto& command : split) {
    EXPECT_LE(command.size(), kMaxXclientOctets);
    EXPECT_TRUE(command.starts_with("XFORWARD "));
  }
  EXPECT_TRUE(EncodeXforward(AttributeSet(), client, "id").empty());
}

TEST(ClientIdentity, IsTheSameOnlyWhenAllOfItIs) {
  EXPECT_EQ(SomeClient(), SomeClient());
  ClientIdentity other = SomeClient();
  other.helo = "other";
  EXPECT_NE(SomeClient(), other);
  other = SomeClient();
  other.port = 1;
  EXPECT_NE(SomeClient(), other);
}

}  // namespace
}  // namespace tlspost::smtp
