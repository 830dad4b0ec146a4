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

TEST(Xclient, OnlyWhatTheBackendLists) {
  // Exim and KumoMTA; TTL and the like are Dovecot's.
  const auto set = AttributeSet::FromList("addr Port TTL CLIENT-TRANSPORT");
  EXPECT_EQ(EncodeXclient(set, SomeClient()),
            "XCLIENT PORT=54321 ADDR=192.0.2.1\r\n");
  EXPECT_FALSE(set.Has(ClientAttribute::kName));
  EXPECT_TRUE(AttributeSet::FromList("").empty());
  EXPECT_EQ(set, AttributeSet::FromList("PORT ADDR"));
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
  EXPECT_EQ(EncodeXtext("a+b=c d\r\n\xc3\xa9\x7f~!"),
            "a+2Bb+3Dc+20d+0D+0A+C3+A9+7F~!");
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
