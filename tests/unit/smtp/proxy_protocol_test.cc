// PROXY headers as load balancers send them, cut at every octet, and what
// must not pass for one.

#include "common/smtp/proxy_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace tlspost::smtp {
namespace {

using State = ProxyDecoding::State;

constexpr std::string_view kLine =
    "PROXY TCP4 192.0.2.7 203.0.113.1 40007 25\r\n";
const std::string kSignatureV2("\r\n\r\n\0\r\nQUIT\n", 12);

std::string TwoOctets(size_t number) {
  return {static_cast<char>(number >> 8), static_cast<char>(number & 0xff)};
}

std::string V2(uint8_t command, uint8_t family, const std::string& block) {
  std::string header = kSignatureV2;
  header += static_cast<char>(command);
  header += static_cast<char>(family);
  return header + TwoOctets(block.size()) + block;
}

std::string Tlv(uint8_t type, const std::string& value) {
  return static_cast<char>(type) + TwoOctets(value.size()) + value;
}

// 192.0.2.7:40007 to 203.0.113.1:25.
const std::string kBlock4 = std::string("\xc0\x00\x02\x07\xcb\x00\x71\x01", 8) +
                            TwoOctets(40007) + TwoOctets(25);
// [2001:db8::7]:40007 to [2001:db8::1]:465.
const std::string kBlock6 =
    "\x20\x01\x0d\xb8" + std::string(11, '\0') + "\x07" + "\x20\x01\x0d\xb8" +
    std::string(11, '\0') + "\x01" + TwoOctets(40007) + TwoOctets(465);

ProxyHeader Header4() { return {false, "192.0.2.7", 40007, "203.0.113.1", 25}; }
ProxyHeader Header6() {
  return {false, "2001:db8:0:0:0:0:0:7", 40007, "2001:db8::1", 465};
}

// A whole header: every shorter piece of it asks for more, and what stands
// behind it changes nothing.
void ExpectHeader(const std::string& bytes, const ProxyHeader& wanted) {
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    EXPECT_EQ(DecodeProxyHeader(bytes.substr(0, cut)).state, State::kNeedMore)
        << cut << " octets";
  }
  for (const std::string behind : {"", "EHLO client.example\r\n", "\x16\x03"}) {
    const ProxyDecoding decoding = DecodeProxyHeader(bytes + behind);
    EXPECT_EQ(decoding.state, State::kHeader) << decoding.fault;
    EXPECT_EQ(decoding.octets, bytes.size());
    EXPECT_EQ(decoding.header.local, wanted.local);
    EXPECT_EQ(decoding.header.source_address, wanted.source_address);
    EXPECT_EQ(decoding.header.source_port, wanted.source_port);
    EXPECT_EQ(decoding.header.destination_address, wanted.destination_address);
    EXPECT_EQ(decoding.header.destination_port, wanted.destination_port);
  }
}

void ExpectMalformed(const std::string& bytes, std::string_view fault) {
  const ProxyDecoding decoding = DecodeProxyHeader(bytes);
  EXPECT_EQ(decoding.state, State::kMalformed) << bytes;
  EXPECT_EQ(decoding.fault, fault) << bytes;
}

// --- version 1 ---

TEST(ProxyProtocolV1, EveryCutOfALine) {
  ExpectHeader(std::string(kLine), Header4());
  ExpectHeader("PROXY TCP6 2001:db8:0:0:0:0:0:7 2001:db8::1 40007 465\r\n",
               Header6());
}

TEST(ProxyProtocolV1, TheLongestLineHas107Octets) {
  const std::string ffff = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff";
  const std::string line =
      "PROXY UNKNOWN " + ffff + ' ' + ffff + " 65535 65535\r\n";
  ASSERT_EQ(line.size(), kMaxProxyV1Octets);
  ExpectHeader(line, ProxyHeader());
  ExpectMalformed("PROXY UNKNOWN " + std::string(93, 'x'),
                  "the line is longer than 107 octets");
  ExpectMalformed("PROXY UNKNOWN " + std::string(200, 'x') + "\r\n",
                  "the line is longer than 107 octets");
}

TEST(ProxyProtocolV1, UnknownMeansTheRealConnection) {
  ExpectHeader("PROXY UNKNOWN\r\n", ProxyHeader());
  ExpectHeader("PROXY UNKNOWN anything at all\r\n", ProxyHeader());
}

TEST(ProxyProtocolV1, WhatIsNotQuiteRightIsNotBelieved) {
  ExpectMalformed("PROXY TCP4 192.0.2.7 203.0.113.1 40007 25\n",
                  "the line ends without CR");
  ExpectMalformed("PROXY UDP4 192.0.2.7 203.0.113.1 40007 25\r\n",
                  "unknown protocol");
  ExpectMalformed("PROXY \r\n", "unknown protocol");
  ExpectMalformed("PROXY TCP4\r\n", "bad address");
  ExpectMalformed("PROXY TCP4 192.0.2.7\r\n", "bad address");
  ExpectMalformed("PROXY TCP4 2001:db8::7 203.0.113.1 1 25\r\n", "bad address");
  ExpectMalformed("PROXY TCP6 192.0.2.7 203.0.113.1 1 25\r\n", "bad address");
  ExpectMalformed("PROXY TCP4 192.0.2.7 203.0.113.1 40007\r\n", "bad port");
  for (const char* port : {"", "-1", "65536", "025", "25x", "+25", "2 5"}) {
    const std::string line = "PROXY TCP4 192.0.2.7 203.0.113.1 40007 ";
    EXPECT_EQ(DecodeProxyHeader(line + port + "\r\n").state, State::kMalformed)
        << port;
  }
  ExpectMalformed("PROXY TCP4 192.0.2.7  203.0.113.1 40007 25\r\n",
                  "bad address");
  ExpectMalformed("PROXY TCP4 192.0.2.7 203.0.113.1 40007 25 x\r\n",
                  "words behind the ports");
}

// --- version 2 ---

TEST(ProxyProtocolV2, EveryCutOfABlock) {
  ExpectHeader(V2(0x21, 0x11, kBlock4), Header4());
  ProxyHeader header6 = Header6();
  header6.destination_address = "2001:db8:0:0:0:0:0:1";
  ExpectHeader(V2(0x21, 0x21, kBlock6), header6);
  ExpectHeader(V2(0x21, 0x11, kBlock4 + Tlv(0x01, "smtp") + Tlv(0xee, "")),
               Header4());
}

TEST(ProxyProtocolV2, LocalMeansTheRealConnection) {
  ProxyHeader local;
  local.local = true;
  ExpectHeader(V2(0x20, 0x00, ""), local);
  // Whatever it says of addresses is passed over, sense or nonsense.
  ExpectHeader(V2(0x20, 0x11, kBlock4), local);
  ExpectHeader(V2(0x20, 0xff, "\x03\x00"), local);
}

TEST(ProxyProtocolV2, NoAddressesOfATcpPeer) {
  ExpectHeader(V2(0x21, 0x00, ""), ProxyHeader());
  ExpectHeader(V2(0x21, 0x00, "whatever"), ProxyHeader());
  ExpectHeader(V2(0x21, 0x31, std::string(216, 'p')), ProxyHeader());
  ExpectHeader(V2(0x21, 0x31, std::string(216, 'p') + Tlv(0x05, "id")),
               ProxyHeader());
}

TEST(ProxyProtocolV2, AMappedAddressStaysWhatItIs) {
  const std::string mapped =
      std::string(10, '\0') + "\xff\xff" + std::string("\xc0\x00\x02\x07", 4);
  const ProxyDecoding decoding = DecodeProxyHeader(
      V2(0x21, 0x21, mapped + mapped + TwoOctets(1) + TwoOctets(2)));
  EXPECT_EQ(decoding.header.source_address, "0:0:0:0:0:ffff:c000:207");
}

TEST(ProxyProtocolV2, TheChecksumIsVerified) {
  const std::string zero = Tlv(0x03, std::string(4, '\0'));
  const std::string header = V2(0x21, 0x11, kBlock4 + zero);
  uint32_t crc = 0xffffffff;
  for (const char c : header) {
    crc ^= static_cast<uint8_t>(c);
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82f63b78 : crc >> 1;
    }
  }
  crc = ~crc;
  const std::string value = TwoOctets(crc >> 16) + TwoOctets(crc & 0xffff);
  ExpectHeader(V2(0x21, 0x11, kBlock4 + Tlv(0x03, value)), Header4());
  ExpectMalformed(header, "wrong checksum");
  for (size_t i = 0; i < value.size(); ++i) {
    std::string wrong = value;
    wrong[i] = static_cast<char>(wrong[i] ^ 1);
    ExpectMalformed(V2(0x21, 0x11, kBlock4 + Tlv(0x03, wrong)),
                    "wrong checksum");
  }
  ExpectMalformed(V2(0x21, 0x11, kBlock4 + Tlv(0x03, "abc")),
                  "bad length of the checksum");
}

TEST(ProxyProtocolV2, WhatIsNotQuiteRightIsNotBelieved) {
  ExpectMalformed(V2(0x11, 0x11, kBlock4), "unknown version");
  ExpectMalformed(V2(0x22, 0x11, kBlock4), "unknown command");
  ExpectMalformed(V2(0x21, 0x12, kBlock4), "unknown family or transport");
  ExpectMalformed(V2(0x21, 0x41, kBlock4), "unknown family or transport");
  ExpectMalformed(V2(0x21, 0x11, kBlock4.substr(1)), "addresses cut short");
  ExpectMalformed(V2(0x21, 0x21, kBlock4), "addresses cut short");
  ExpectMalformed(V2(0x21, 0x31, kBlock6), "addresses cut short");
  ExpectMalformed(V2(0x21, 0x11, kBlock4 + "\x01"), "a TLV is cut short");
  ExpectMalformed(V2(0x21, 0x11, kBlock4 + Tlv(1, "ab").substr(0, 4)),
                  "a TLV is cut short");
}

TEST(ProxyProtocolV2, TheLengthIsBounded) {
  const size_t room = kMaxProxyV2Octets - kProxyV2FixedOctets - kBlock4.size();
  const std::string longest =
      V2(0x21, 0x11, kBlock4 + Tlv(0x20, std::string(room - 3, 's')));
  ASSERT_EQ(longest.size(), kMaxProxyV2Octets);
  EXPECT_EQ(DecodeProxyHeader(longest).state, State::kHeader);
  // It is refused by what it announces; nothing of it is waited for.
  ExpectMalformed(kSignatureV2 + "\x21\x11" + TwoOctets(room + 13),
                  "the header is longer than 16 KiB");
}

// --- neither ---

TEST(ProxyProtocol, SomethingElseIsSeenAtItsFirstOctet) {
  for (const std::string other :
       {"EHLO client.example\r\n", "E", "proxy TCP4 ", "PROXYTCP4", "\x16\x03",
        "\r\n\r\nX", "\n", "GET / HTTP/1.1\r\n"}) {
    EXPECT_EQ(DecodeProxyHeader(other).state, State::kNoHeader) << other;
  }
}

}  // namespace
}  // namespace tlspost::smtp
